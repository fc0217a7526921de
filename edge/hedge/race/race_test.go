package race

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A runner is an attempt that ends after a time, or when it is stopped and so much later.
type runner struct {
	Lap
	settled, closed, out atomic.Int32
}

func (r *runner) Read([]byte) (int, error) { return 0, io.EOF }

func (r *runner) Close() error {
	r.closed.Add(1)
	return nil
}

var errBroken = errors.New("broken")

func newRunner(t *testing.T, after time.Duration, status int) *runner {
	ctx, stop := context.WithCancel(t.Context())
	r := new(runner)
	r.Stop = stop
	r.Settle = func() { r.settled.Add(1) }
	r.Trip = func() (*http.Response, error) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			time.Sleep(time.Second)
			return nil, ctx.Err()
		}
		if status == 0 {
			return nil, errBroken
		}
		return &http.Response{StatusCode: status, Body: r}, nil
	}
	return r
}

// TestRaces: who wins, and what becomes of the other: it is told out, settled and closed once each, and waited for.
func TestRaces(t *testing.T) {
	t.Parallel()
	const s, delay = time.Second, 2 * time.Second
	for name, c := range map[string]struct {
		first, second time.Duration // 0: none
		puts          int           // how often the second is put off, by a second each time
		one, two      int           // statuses; 0: it breaks
		want          int           // 1 or 2
		took          time.Duration
	}{
		"the first is quick":              {first: s, one: 200, want: 1, took: s},
		"the first breaks at once":        {first: s, second: s, want: 1, took: s},
		"the second wins":                 {first: 9 * s, second: s, one: 200, two: 200, want: 2, took: 3 * s},
		"the first wins after all":        {first: 3 * s, second: 5 * s, one: 200, two: 200, want: 1, took: 3 * s},
		"both at the same moment":         {first: 4 * s, second: 2 * s, one: 200, two: 200, took: 4 * s},
		"the first breaks beside another": {first: 3 * s, second: 5 * s, two: 200, want: 2, took: 7 * s},
		"the second breaks":               {first: 9 * s, second: s, one: 200, want: 1, took: 9 * s},
		"both break":                      {first: 3 * s, second: 5 * s, want: 2, took: 7 * s},
		"one that is not wanted":          {first: 3 * s, second: 5 * s, one: 503, two: 200, want: 2, took: 7 * s},
		"nothing better comes":            {first: 3 * s, second: 5 * s, one: 200, two: 503, want: 1, took: 3 * s},
		"there is no second":              {first: 9 * s, one: 200, want: 1, took: 9 * s},
		"the second is put off and wins":  {first: 9 * s, second: s, puts: 3, one: 200, two: 200, want: 2, took: 6 * s},
		"it is put off for too long":      {first: 4 * s, second: s, puts: 3, one: 200, two: 200, want: 1, took: 4 * s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one, two := newRunner(t, c.first, c.one), newRunner(t, c.second, c.two)
				begun, asked := time.Now(), 0
				r := Race{
					Second: func() (*Lap, time.Duration) {
						asked++
						switch {
						case c.second == 0:
							return nil, 0
						case asked <= c.puts:
							return nil, s
						}
						return &two.Lap, 0
					},
					Wants: func(r *http.Response) bool { return r.StatusCode == 200 },
					Out: func(l *Lap) {
						if l == &one.Lap {
							one.out.Add(1)
						} else {
							two.out.Add(1)
						}
					},
				}
				winner := r.Run(&one.Lap, delay, true)
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				r.Wait()
				won, lost := one, two
				if winner == &two.Lap {
					won, lost = two, one
				}
				if c.want > 0 && (winner == &two.Lap) != (c.want == 2) {
					t.Errorf("the wrong one")
				}
				if won.out.Load()+won.settled.Load()+won.closed.Load() != 0 || winner.Beaten {
					t.Error("the winner is not left to whoever has it")
				}
				ran := int32(0)
				if asked > c.puts && c.second > 0 {
					ran = 1
				}
				if lost.out.Load() != ran || lost.settled.Load() != ran {
					t.Errorf("out %d, settled %d, want %d", lost.out.Load(), lost.settled.Load(), ran)
				}
				if answered := lost.Response != nil; answered != (lost.closed.Load() == 1) {
					t.Errorf("an answer that is of no use: %v, closed %d times", answered, lost.closed.Load())
				}
				if strings.Contains(name, "quick") && asked != 0 {
					t.Error("a second was asked for")
				}
			})
		})
	}
}

// TestNoDelay: without one there is no second.
func TestNoDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newRunner(t, time.Hour, 200)
		r := Race{Second: func() (*Lap, time.Duration) { panic("a second") }, Wants: func(*http.Response) bool { return true }}
		if r.Run(&one.Lap, 0, false) != &one.Lap {
			t.Error("who else?")
		}
		r.Wait()
	})
}
