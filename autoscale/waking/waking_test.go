package waking

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestATableTellsIt(t *testing.T) {
	t.Parallel()
	s := Service{Health: "/healthz", Failed: true}
	if got := Read(s.Encode()); got == nil || *got != s {
		t.Errorf("%+v became %+v", s, got)
	}
	if got := Read((Service{}).Encode()); got == nil || *got != (Service{}) {
		t.Errorf("one without a check became %+v", got)
	}
	if Read(nil) != nil || Read([]byte("[")) != nil {
		t.Error("something was read of nothing")
	}
}
