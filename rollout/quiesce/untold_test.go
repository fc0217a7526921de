package quiesce_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout/quiesce"
)

func TestWhoCannotBeToldIsNamedWithTheReason(t *testing.T) {
	t.Parallel()
	terms := quiesce.Terms{Tell: quiesce.Way{Exec: []string{"touch", "no more"}}}
	now := time.Unix(1, 0)
	e := terms.Untold(now, semper.InstanceSpec{ID: "shop/scan.r4.1", App: "shop", Environment: "beta", Release: "r4"}, errors.New("permission denied"))
	if !e.At.Equal(now) || e.Kind != "worker.untold" || e.App != "shop" || e.Environment != "beta" || e.Release != "r4" || e.Instance != "shop/scan.r4.1" {
		t.Errorf("%+v", e)
	}
	for _, part := range []string{"shop/scan.r4.1 takes jobs still", "touch 'no more'", "permission denied"} {
		if !strings.Contains(e.Message, part) {
			t.Errorf("%q lacks %q", e.Message, part)
		}
	}
}
