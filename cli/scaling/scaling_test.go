package scaling

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"semper/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse([]string{"web=5", "worker=auto", "shy=0"})
	if want := map[string]int{"web": 5, "worker": api.AutoScale, "shy": 0}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"web", "web=", "=3", "web=-1", "web=Auto", "web=1.5"} {
		if _, err := Parse([]string{bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Parse([]string{"web=1", "web=auto"}); err == nil {
		t.Error("one service twice")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	st := api.Status{
		Scale: map[string]int{"web": 3, "fixed": 1, "hand": 2},
		Scaling: []api.Scaling{
			{Service: "hand", Min: 1, Max: 4, ByHand: true, Why: "somebody gave this number"},
			{Service: "web", Min: 0, Max: 10, Why: "61 requests of 20 each"},
		},
		Instances: []api.Instance{{Service: "web", Role: "current", State: "ready"}, {Service: "web", Role: "retiring", State: "ready"}, {Service: "web", Role: "current", State: "starting"}},
	}
	var b bytes.Buffer
	Table(&b, false, Rows(st))
	for _, want := range []string{"fixed    1    0      fixed    instances in", "hand     2    0      by hand  somebody gave", "web      3    1      0 to 10  61 requests"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nwant %q", &b, want)
		}
	}
}
