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
	f := New(3)
	f.Load([]semper.Event{{Seq: 1}, {Seq: 2}})
	if got, _ := f.After(1); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("after 1: %v", got)
	}
	got, more := f.After(2)
	f.Send(nil)
	select {
	case <-more:
		t.Error("told of nothing")
	default:
	}
	f.Send([]semper.Event{{Seq: 3}, {Seq: 5}})
	if <-more; len(got) != 0 {
		t.Errorf("after 2: %v", got)
	}
	if got, _ = f.After(0); len(got) != 3 || got[0].Seq != 2 || got[2].Seq != 5 {
		t.Errorf("of four the newest three: %v", got)
	}
}
