package line

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"semper/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func workers(shares []Share) (names []string) {
	for _, s := range shares {
		names = append(names, s.Worker)
	}
	return names
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	var l Line
	for _, who := range []string{"a", "b", "c"} {
		l.Join(who, 2)
	}
	wanted := 0
	take := func(n int) []Share { return l.Take(func(want int) int { wanted = want; return n }) }
	shares := take(3)
	if !slices.Equal(workers(shares), []string{"a", "b"}) || shares[0].Jobs != 2 || shares[1].Jobs != 1 || wanted != 6 {
		t.Fatalf("3 jobs for those who want %d are shared by %v", wanted, shares)
	}
	l.Join("d", 2)
	l.Back(shares[0].Asker, shares[1].Asker) // before those who came later
	if got := workers(take(8)); !slices.Equal(got, []string{"a", "b", "c", "d"}) || wanted != 8 {
		t.Errorf("the line is %v, who want %d", got, wanted)
	}
	if got := l.Take(func(int) int { t.Error("an empty line is asked for jobs"); return 1 }); got != nil {
		t.Errorf("an empty line gives %v", got)
	}
}

// TestWait: who gives up before being taken gets nothing; who gives up after that gets what was on its way, and does not
// stand in the line again.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Line
		one := func(int) int { return 1 }
		type answer struct {
			claims []queue.Claim
			err    error
		}
		wait := func(ctx, answering context.Context) chan answer {
			a, out := l.Join("w", 1), make(chan answer, 1)
			go func() {
				claims, err := l.Wait(ctx, answering, a)
				out <- answer{claims, err}
			}()
			synctest.Wait()
			return out
		}
		ctx, cancel := context.WithCancel(t.Context())
		out := wait(ctx, t.Context())
		cancel()
		if a := <-out; !errors.Is(a.err, context.Canceled) || l.Take(one) != nil {
			t.Errorf("who gave up has %+v", a)
		}
		for _, jobs := range [][]queue.Claim{{{}}, nil} {
			ctx, cancel := context.WithCancel(t.Context())
			out := wait(ctx, t.Context())
			shares := l.Take(one)
			cancel()
			synctest.Wait()
			if len(jobs) > 0 {
				shares[0].Answer(jobs)
			} else {
				l.Back(shares[0].Asker)
			}
			if a := <-out; len(a.claims) != len(jobs) || (a.err == nil) != (len(jobs) > 0) {
				t.Errorf("of %d jobs on their way one who gave up got %+v", len(jobs), a)
			}
			if l.Take(one) != nil {
				t.Error("and waits nevertheless")
			}
		}
		closing, end := context.WithCancel(t.Context())
		out = wait(t.Context(), closing)
		end()
		if a := <-out; a.err == nil || a.err.Error() != queue.Closed().Error() {
			t.Errorf("after the end: %+v", a)
		}
	})
}
