package feed

import (
	"testing"

	"go.uber.org/goleak"

	"semper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEventsFromAnyOneOn: those that are kept, and a word when there are more.
func TestEventsFromAnyOneOn(t *testing.T) {
	t.Parallel()
	f := New()
	if got, _ := f.After(0); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
	f.Show([]semper.Event{{Seq: 1}, {Seq: 2}})
	if got, _ := f.After(1); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("after 1: %v", got)
	}
	got, more := f.After(2)
	f.Show([]semper.Event{{Seq: 1}, {Seq: 2}})
	select {
	case <-more:
		t.Error("told of nothing")
	default:
	}
	f.Show([]semper.Event{{Seq: 2}, {Seq: 3}, {Seq: 5}})
	if <-more; len(got) != 0 {
		t.Errorf("after 2: %v", got)
	}
	if got, _ = f.After(0); len(got) != 3 || got[0].Seq != 2 || got[2].Seq != 5 {
		t.Errorf("what is kept: %v", got)
	}
	if got, _ = f.After(3); len(got) != 1 || got[0].Seq != 5 {
		t.Errorf("after 3: %v", got)
	}
}
