package dispatch_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/queue"
	"semper/queue/dispatch"
	"semper/queue/mem"
)

// An edge is a transport that answers itself.
type edge func(*http.Request) (*http.Response, error)

func (e edge) RoundTrip(r *http.Request) (*http.Response, error) { return e(r) }

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// run has a dispatcher work by e until jobs of that many requests are terminal, and gives how they are.
func run(t *testing.T, s queue.Settings, e edge, requests ...queue.Request) (all []queue.Status) {
	t.Helper()
	engine := mem.New()
	q, err := engine.Open(t.Context(), queue.Service{App: "shop", Environment: "production", Service: "web"}, s.Policy)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		dispatch.Run(ctx, q, dispatch.Options{Service: "shop/production/web", Worker: "me", Edge: e, Slots: 2, Log: slog.New(slog.DiscardHandler), Settings: func() queue.Settings { return s }})
	}()
	var ids []queue.ID
	for _, r := range requests {
		receipt, err := q.Enqueue(t.Context(), queue.Job{Request: r})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipt.ID)
	}
	for _, id := range ids {
		st, err := q.Wait(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	cancel()
	<-over
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
	return all
}

var post = queue.Request{Method: "POST", Target: "/pay?n=1", Host: "shop.example", Header: http.Header{"X-A": {"b"}}, Body: []byte("money")}

func TestAnAnswerIsTheResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := run(t, queue.Settings{}, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			id := r.Header.Get("Semper-Job-Id")
			if r.Method != "POST" || r.URL.RequestURI() != "/pay?n=1" || r.Host != "shop.example" || string(body) != "money" || r.Header.Get("X-A") != "b" ||
				r.Header.Get("Semper-Attempt") != "1" || r.Header.Get("Semper-Queue") != "shop/production/web" || r.Header.Get("Idempotency-Key") != `"`+id+`"` {
				t.Errorf("asked %s %s %v %q", r.Method, r.URL, r.Header, body)
			}
			return answer(404, "no such account", "X-B", "c", "Connection", "close"), nil
		}, post)
		r := all[0].Result
		if all[0].State != queue.Done || r.Status != 404 || string(r.Body) != "no such account" || r.Header.Get("X-B") != "c" || r.Header.Get("Connection") != "" {
			t.Errorf("%+v %+v", all[0], r)
		}
	})
}

func TestWhatIsNoAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(r *http.Request) (*http.Response, error){
		"no connection":  func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") },
		"5xx":            func(*http.Request) (*http.Response, error) { return answer(503, "", "Retry-After", "7"), nil },
		"the edge's 404": func(*http.Request) (*http.Response, error) { return answer(404, "", "X-Semper-Error", "no-route"), nil },
		"an answer that breaks": func(*http.Request) (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(broken{})
			return r, nil
		},
		"nothing in time": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				all := run(t, queue.Settings{}, func(r *http.Request) (*http.Response, error) {
					if n.Add(1) == 1 {
						return first(r)
					}
					return answer(200, "now"), nil
				}, post)
				if s := all[0]; s.State != queue.Done || len(s.Attempts) != 2 || s.Attempts[0].Reason == "" || string(s.Result.Body) != "now" {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What the drain deadline of an old release cuts off is done by the new one, and does not count.
func TestWhatIsCutIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		all := run(t, queue.Settings{Policy: queue.Policy{MaxAttempts: 1}}, func(*http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				return answer(503, "", "X-Semper-Error", "cut"), nil
			}
			return answer(200, "now"), nil
		}, post)
		if s := all[0]; s.State != queue.Done || len(s.Attempts) != 1 || n.Load() != 2 {
			t.Errorf("%+v after %d", s, n.Load())
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What never was a request would fail the same way each time.
func TestWhatCannotBeAskedIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := run(t, queue.Settings{}, func(*http.Request) (*http.Response, error) { return answer(200, ""), nil }, queue.Request{Method: "NO METHOD", Target: "/"})
		if all[0].State != queue.Dead || len(all[0].Attempts) != 1 {
			t.Errorf("%+v", all[0])
		}
	})
}

func TestAtMostSlotsAreUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		requests := make([]queue.Request, 20)
		for i := range requests {
			requests[i] = post
		}
		run(t, queue.Settings{}, func(*http.Request) (*http.Response, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second) // of virtual time: all that may be under way is
			return answer(200, ""), nil
		}, requests...)
		if most.Load() != 2 {
			t.Errorf("%d at a time", most.Load())
		}
	})
}

// asked is a queue that never has a job.
type asked struct {
	queue.Worker
	jobs chan int
}

func (a asked) Claim(ctx context.Context, _ string, n int) ([]queue.Claim, error) {
	a.jobs <- n
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSeveralAsk: several ask for jobs, and together for no more than there are slots.
func TestSeveralAsk(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int][]int{1: {1}, 2: {1, 1}, 5: {1, 2, 2}, 256: {84, 86, 86}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			a := asked{jobs: make(chan int, 10)}
			done := make(chan struct{})
			go func() {
				dispatch.Run(ctx, a, dispatch.Options{Slots: slots})
				close(done)
			}()
			synctest.Wait()
			var got []int
			for len(a.jobs) > 0 {
				got = append(got, <-a.jobs)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("of %d slots %d are asked for, want %d", slots, got, want)
			}
			cancel()
			<-done
		})
	}
}
