package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/hedge"
	"semper/edge/hold"
	"semper/edge/lane"
	"semper/edge/ledger"
	"semper/edge/route"
)

// hedged is a rule that leads to web, asks a second instance soon, and may as often as it likes.
func hedged(change func(*route.Policy)) route.Rule {
	return to("web", func(r *route.Rule) {
		r.Policy.Hedge = route.Hedge{After: time.Millisecond, Share: 1}
		r.Policy.Retry = route.Retry{Tries: 3, Share: 1, Floor: 10}
		if change != nil {
			change(&r.Policy)
		}
	})
}

// booked waits until nothing is in flight, and is the ledger of a Config's pool.
func (f *fixture) booked(pool string) semper.Ledger {
	f.t.Helper()
	of := func() semper.Ledger { return f.books.Snapshot().Counts[Key{App: pool}] }
	eventually(f.t, "nothing in flight", func() bool { return len(f.State().InFlight) == 0 && ledger.InFlight(of()) == 0 })
	return of()
}

// a stuck instance answers nothing until its client has had enough, or it is let go.
type stuck struct {
	*app
	asked, left atomic.Int64
	free        chan struct{}
}

func startStuck(t *testing.T, id string) *stuck {
	s := &stuck{free: make(chan struct{})}
	s.app = start(t, "tcp", id, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		io.Copy(io.Discard, r.Body) //nolint:errcheck // only read
		select {
		case <-r.Context().Done():
			s.left.Add(1)
		case <-s.free:
			io.WriteString(w, "after all") //nolint:errcheck // the client checks
		}
	}))
	return s
}

func TestASlowInstanceIsHedged(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		slow, quick := startStuck(t, "web.r1.1"), start(t, "tcp", "web.r1.2", answer("quick"))
		f.goBy(pools("web", slow.app, quick), hedged(nil))
		c := client(t)
		const n = 30
		for range n {
			if resp, body := get(t, c, f.url("/")); resp.StatusCode != 200 || body != "quick" {
				t.Fatalf("%s %q", resp.Status, body)
			}
		}
		if l := f.booked("web"); l != (semper.Ledger{Accepted: n, Served: n}) {
			t.Errorf("%+v", l)
		}
		eventually(t, "it is told that nobody waits", func() bool { return slow.left.Load() == slow.asked.Load() })
		told := map[any]float64{}
		for _, line := range f.lines(path) { // lost: the quick one took its time
			told[line["hedge"]]++
			if (line["hedge"] != nil) != (line["tries"] == 2.) || !strings.HasSuffix(fmt.Sprint(line["instance"]), quick.Address) {
				t.Errorf("%v", line)
			}
		}
		if told["won"] == 0 {
			t.Error("the slow one was never asked first: once in 2^30")
		}
		m := f.scrape()
		for name, want := range map[string]float64{
			"semper_edge_hedges_total": told["won"] + told["lost"], "semper_edge_hedges_won_total": told["won"], "semper_edge_hedges_denied_total": 0,
		} {
			if got := value(m[name]); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if got, want := value(m["http_client_request_duration_seconds"], "error_type", "canceled"), told["won"]+told["lost"]; got != want {
			t.Errorf("%v tries were cancelled, want %v", got, want)
		}
	})
}

// TestTheFirstMayWinAfterAll, and the second is told so. Which try arrives first is the kernel's to say; it is asked until the
// second came second.
func TestTheFirstMayWinAfterAll(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		var turn, left atomic.Int64
		var both atomic.Pointer[chan struct{}]
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if turn.Add(1) == 1 {
				<-*both.Load()
				io.WriteString(w, "first") //nolint:errcheck // the client checks
				return
			}
			close(*both.Load())
			<-r.Context().Done()
			left.Add(1)
		})
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", h), start(t, "unix", "web.r1.2", h)), hedged(nil))
		c, sent := client(t), int64(0)
		eventually(t, "the first try arrives first", func() bool {
			sent++
			turn.Store(0)
			arrived := make(chan struct{})
			both.Store(&arrived)
			if _, body := get(t, c, f.url("/")); body != "first" {
				t.Errorf("%q", body)
			}
			eventually(t, "the other is left", func() bool { return left.Load() == sent })
			f.booked("web")
			m := f.scrape()
			return value(m["semper_edge_hedges_won_total"]) < value(m["semper_edge_hedges_total"])
		})
		if l := f.booked("web"); l != (semper.Ledger{Accepted: uint64(sent), Served: uint64(sent)}) {
			t.Errorf("%+v", l)
		}
		if got := value(f.scrape()["semper_edge_hedges_total"]); got != float64(sent) {
			t.Errorf("%v hedges of %d requests", got, sent)
		}
		lines := f.lines(path)
		for i, line := range lines {
			if want := map[bool]string{true: "lost", false: "won"}[i == len(lines)-1]; line["hedge"] != want || line["tries"] != 2. {
				t.Errorf("line %d of %d: %v", i+1, len(lines), line)
			}
		}
		if int64(len(lines)) != sent {
			t.Errorf("%d lines of %d requests", len(lines), sent)
		}
	})
}

// TestWhatIsNotHedged has its answer from the one it was given to.
func TestWhatIsNotHedged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, body string
		change       func(*route.Policy)
	}{
		"a POST":                    {"POST", "", nil},
		"content":                   {"PUT", "content", nil},
		"more content than may be":  {"PUT", "content", func(p *route.Policy) { p.Hedge.Content = 6 }},
		"a POST whose content may":  {"POST", "content", func(p *route.Policy) { p.Hedge.Content = 100 }},
		"by a rule that does not":   {"GET", "", func(p *route.Policy) { p.Hedge = route.Hedge{Share: 1} }},
		"without a budget":          {"GET", "", func(p *route.Policy) { p.Retry.Share, p.Retry.Floor = 0, 0 }},
		"while little is known":     {"GET", "", func(p *route.Policy) { p.Hedge.Quantile = 0.5 }},
		"beside one that is full":   {"GET", "", func(p *route.Policy) { p.MaxInFlight = 1 }},
		"who sticks to an instance": {"GET", "", func(p *route.Policy) { p.Sticky = route.Sticky{Cookie: "at", By: route.ByInstance, Age: time.Hour} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configured(t, func(t *testing.T, f *fixture) {
				one, two := startStuck(t, "web.r1.1"), startStuck(t, "web.r1.2")
				f.goBy(pools("web", one.app, two.app), hedged(c.change))
				cookie := f.cookieFor(t, "at", one.app)
				requests := int64(1)
				if name == "beside one that is full" {
					requests = 2
				}
				var all sync.WaitGroup
				for range requests {
					all.Go(func() {
						req, err := http.NewRequestWithContext(t.Context(), c.method, f.url("/"), strings.NewReader(c.body))
						if err != nil {
							t.Error(err)
							return
						}
						if cookie != nil {
							req.AddCookie(cookie)
						}
						resp, err := client(t).Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						if body := drainBody(t, resp); resp.StatusCode != 200 || body != "after all" {
							t.Errorf("%s %q", resp.Status, body)
						}
					})
				}
				eventually(t, "it is there", func() bool { return one.asked.Load()+two.asked.Load() == requests })
				time.AfterFunc(20*time.Millisecond, func() { close(one.free); close(two.free) }) // far behind the delay
				all.Wait()
				if got := one.asked.Load() + two.asked.Load(); got != requests {
					t.Errorf("%d tries for %d requests", got, requests)
				}
				if l := f.booked("web"); l != (semper.Ledger{Accepted: uint64(requests), Served: uint64(requests)}) {
					t.Errorf("%+v", l)
				}
			})
		})
	}
}

// cookieFor is the cookie by which a client comes back to a; nil where clients do not stick.
func (f *fixture) cookieFor(t *testing.T, name string, a *app) *http.Cookie {
	t.Helper()
	r := &f.snapshot().rules[0]
	if r.stick == nil {
		return nil
	}
	for i, b := range r.targets[0].pool.backends {
		if b.address == a.Address {
			return &http.Cookie{Name: name, Value: string(r.stick.Append(nil, r.targets[0].ours, r.targets[0].tags[i], time.Now().Add(time.Hour)))}
		}
	}
	t.Fatal("no such backend")
	return nil
}

// TestOneOfTwoMayFail: the other's answer counts; when both do, the request ends once.
func TestOneOfTwoMayFail(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var turn atomic.Int64
		second, failed := make(chan struct{}), make(chan struct{})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch turn.Add(1) {
			case 1: // breaks off when it has company
				<-second
				defer close(failed)
				panic(http.ErrAbortHandler)
			case 2:
				close(second)
				<-failed
				if r.URL.Path == "/both" {
					panic(http.ErrAbortHandler)
				}
				io.WriteString(w, "second") //nolint:errcheck // the client checks
			default:
				io.WriteString(w, "third") //nolint:errcheck // the client checks
			}
		})
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", h), start(t, "tcp", "web.r1.2", h)), hedged(func(p *route.Policy) { p.Retry.Tries = 2 }))
		if resp, body := get(t, client(t), f.url("/")); resp.StatusCode != 200 || body != "second" {
			t.Errorf("%s %q", resp.Status, body)
		}
		turn.Store(0)
		second, failed = make(chan struct{}), make(chan struct{})
		if resp, _ := get(t, client(t), f.url("/both")); resp.StatusCode != 502 {
			t.Errorf("both fail: %s", resp.Status)
		}
		if l := f.booked("web"); l.Accepted != 2 || l.Served != 1 || l.EdgeErrors != 1 {
			t.Errorf("%+v", l)
		}
	})
}

// TestARaceThatIsEnded by its client, or by the edge, leaves nothing behind.
func TestARaceThatIsEnded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]semper.Ledger{"by the client": {Accepted: 1, Gone: 1}, "by the edge": {Accepted: 1, Cut: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configured(t, func(t *testing.T, f *fixture) {
				one, two := startStuck(t, "web.r1.1"), startStuck(t, "web.r1.2")
				f.goBy(pools("web", one.app, two.app), hedged(nil))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan struct{})
				go func() {
					defer close(done)
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url("/"), nil)
					if err != nil {
						t.Error(err)
						return
					}
					if resp, err := abrupt(t).Do(req); err == nil {
						resp.Body.Close() //nolint:errcheck // not wanted
					}
				}()
				eventually(t, "both are asked", func() bool { return one.asked.Load() == 1 && two.asked.Load() == 1 })
				total := 0
				for _, n := range f.State().InFlight {
					total += n.Total()
				}
				if total != 2 {
					t.Errorf("%d in flight: each try is a claim", total)
				}
				if name == "by the client" {
					cancel()
				} else {
					f.cutAll()
				}
				<-done
				eventually(t, "both are left", func() bool { return one.left.Load() == 1 && two.left.Load() == 1 })
				if l := f.booked("web"); l != want {
					t.Errorf("%+v, want %+v", l, want)
				}
			})
		})
	}
}

// TestNothingIsHedgedRoundAChange: a second try goes by the snapshot of the first, while that is current and holds nothing.
func TestNothingIsHedgedRoundAChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, b := start(t, "tcp", "web.r1.1", says(1)), start(t, "tcp", "web.r1.2", says(1))
	for name, c := range map[string]struct {
		change func(x *exchange)
		want   bool
	}{
		"as it is":    {func(*exchange) {}, true},
		"a new table": {func(*exchange) { f.table(1, nil, a.Backend, b.Backend) }, false},
		"a hold":      {func(x *exchange) { x.target.held = hold.Terms{{Until: hold.Never}} }, false},
		"who waits": {func(x *exchange) {
			x.target.lane = lane.New(lane.Options{
				Gate: func() hold.Gate { return hold.Gate{All: true} }, Pump: func(func(context.Context)) bool { return false },
			})
			x.target.lane.Join(&hold.Waiter{}, hold.Bounds{}, true)
		}, false},
		"early answers": {func(x *exchange) { _ = x.early.Pass(httptest.NewRecorder(), 103, nil) }, false},
		"one is left": {func(x *exchange) {
			for _, b := range x.target.pool.backends {
				b.balance.SetDown(b != x.backend, f.now())
			}
		}, false},
		"nothing afford": {func(x *exchange) { x.rule.Budget.Ratio, x.rule.Budget.Floor = 0, 0 }, false},
	} {
		f.table(1, nil, a.Backend, b.Backend)
		x := f.exchange(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, f.url("/"), nil), "a")
		x.turnTo(f.snapshot(), x.began)
		x.rule.Hedge, x.rule.Hedges.Floor = hedge.Policy{After: 1}, 100
		if d := x.claim(x.began); d != given {
			t.Fatalf("%s: %v", name, d)
		}
		c.change(x)
		before := x.backend.balance.InFlight.Load()
		l := x.beside(x.backend)
		if (l != nil) != c.want {
			t.Errorf("%s: hedged is %v", name, l != nil)
		}
		if l != nil {
			if l.backend == x.backend || l.backend.balance.InFlight.Load() != 1 {
				t.Error("the second claims another one")
			}
			l.Settle()
		}
		if x.backend.balance.InFlight.Load() != before {
			t.Errorf("%s: the first claim has changed", name)
		}
		for _, b := range x.target.pool.backends {
			b.balance.SetDown(false, f.now())
			if n := b.balance.InFlight.Load(); n > 1 {
				t.Errorf("%s: %d in flight", name, n)
			}
		}
		x.asking.leave()
	}
}
