package edge

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/route"
)

// counts is how many of n requests each app answered, which say who they are.
func counts(t *testing.T, f *fixture, path string, n int) map[string]int {
	t.Helper()
	c, got := client(t), map[string]int{}
	for range n {
		_, body := get(t, c, f.url(path))
		got[body]++
	}
	return got
}

// of is the backend of an app in a pool.
func (f *fixture) of(pool string, a *app) *backend {
	f.t.Helper()
	for _, b := range f.snapshot().pools[semper.PoolKey(pool)].backends {
		if b.address == a.Address {
			return b
		}
	}
	f.t.Fatal("no such backend")
	return nil
}

func inTurn(r *route.Rule) { r.Policy.Balance.Algorithm = route.RoundRobin }

// TestSlowStart: one that comes back takes little at first, where the pool says so.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		old, young := start(t, "tcp", "web.r1.1", answer("old")), start(t, "tcp", "web.r1.2", answer("young"))
		p := pools("web", old, young)["web"]
		for _, c := range []struct {
			slow     time.Duration
			min, max int
		}{{0, 50, 50}, {time.Hour, 0, 10}} {
			p.SlowStart = c.slow
			f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
			for a, since := range map[*app]int64{old: f.now() - int64(2*time.Hour), young: f.now()} {
				b := f.of("web", a).balance
				b.SetDown(true, since)
				b.SetDown(false, since)
			}
			if got := counts(t, f, "/", 100); got["young"] < c.min || got["young"] > c.max {
				t.Errorf("with a slow start of %v: %v", c.slow, got)
			}
		}
	})
}

// TestPanic: when too few are well, it is asked of no one whether they are.
func TestPanic(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var apps []*app
		for i := range 4 {
			apps = append(apps, start(t, "tcp", fmt.Sprintf("web.r1.%d", i), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" && i > 0 {
					w.WriteHeader(500)
				}
				fmt.Fprint(w, i)
			})))
		}
		p := pools("web", apps...)["web"]
		p.Probe = ProbeConfig{Path: "/healthz", Interval: 5 * time.Millisecond, Timeout: 5 * time.Second, Rise: 2, Fall: 2}
		p.Panic = 0
		f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
		eventually(t, "only the one that is well is asked", func() bool { return counts(t, f, "/", 8)["0"] == 8 })
		p.Panic = 25
		f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
		if got := counts(t, f, "/", 20); got["0"] != 20 {
			t.Errorf("a quarter is well, which is enough: %v", got)
		}
		p.Panic = 26
		f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
		if got := counts(t, f, "/", 20); got["0"] != 5 || len(got) != 4 {
			t.Errorf("a quarter is well, and that is too few: %v", got)
		}
	})
}

// TestStreamsHaveAnAge, and then they end as their clients expect it, while other requests go on.
func TestStreamsHaveAnAge(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		free := make(chan struct{})
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Accept"))
			io.WriteString(w, "data: 1\n\n")      //nolint:errcheck // the client checks
			http.NewResponseController(w).Flush() //nolint:errcheck // the same
			select {
			case <-r.Context().Done():
			case <-free:
			}
		}))
		f.goBy(pools("web", a), to("web", func(r *route.Rule) { r.Policy.MaxStreamAge = 20 * time.Millisecond }))
		open := func(accept string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", accept)
			resp, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		long, stream := open("text/plain"), open("text/event-stream")
		if body := drainBody(t, stream); body != "data: 1\n\n" {
			t.Errorf("%q", body)
		}
		if l := f.books.Snapshot().Counts[Key{App: "web"}]; l.Cut > 1 {
			t.Errorf("%+v: a request that is no stream was cut", l)
		}
		close(free)
		drainBody(t, long)
		if l := f.booked("web"); l != (semper.Ledger{Accepted: 2, Served: 1, Cut: 1}) {
			t.Errorf("%+v", l)
		}
	})
}

// crowd sends n requests for path at once. It returns when each is inside or refused, with how many were; what is said to
// done is the status of each that was inside.
func (d *doorman) crowd(t *testing.T, f *fixture, path string, n int) (refused int) {
	t.Helper()
	before := d.inside.Load()
	var shed atomic.Int64
	for range n {
		d.all.Go(func() {
			resp, err := client(t).Get(f.url(path))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			switch resp.StatusCode {
			case 503:
				shed.Add(1)
			case 200:
			default:
				t.Errorf("%s: %s", path, resp.Status)
			}
		})
	}
	eventually(t, "each is inside or refused", func() bool { return d.inside.Load()-before+shed.Load() == int64(n) })
	return int(shed.Load())
}

// A doorman lets requests in and keeps them until they are let go.
type doorman struct {
	inside atomic.Int64
	free   chan struct{}
	all    sync.WaitGroup
}

func (d *doorman) ServeHTTP(http.ResponseWriter, *http.Request) {
	d.inside.Add(1)
	<-d.free
}

func (d *doorman) letGo() {
	close(d.free)
	d.all.Wait()
}

// TestClasses: the less important have less of the room, and so are turned away first.
func TestClasses(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		d := &doorman{free: make(chan struct{})}
		class := func(c route.Class) route.Rule {
			return to("web", func(r *route.Rule) {
				r.Match.Path, r.Policy.Class, r.Policy.MaxInFlight = "/"+string(c), c, 8
			})
		}
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", d)), class(route.Background), class(route.Normal), class(route.Critical))
		for _, c := range []struct {
			class   route.Class
			n, want int
		}{{route.Background, 6, 2}, {route.Normal, 3, 0}, {route.Background, 1, 1}, {route.Critical, 3, 2}, {route.Normal, 1, 1}} {
			if got := d.crowd(t, f, "/"+string(c.class), c.n); got != c.want {
				t.Errorf("of %d %s %d are refused, want %d", c.n, c.class, got, c.want)
			}
		}
		d.letGo()
		if l := f.booked("web"); l.Accepted != 14 || l.Served != 8 || l.Shed != 6 {
			t.Errorf("%+v", l)
		}
	})
}

// TestAdaptive: without a bound of its own a rule finds one.
func TestAdaptive(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		d := &doorman{free: make(chan struct{})}
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", d)),
			to("web", nil), to("web", func(r *route.Rule) { r.Match.Path, r.Policy.Adaptive = "/adaptive", true }))
		const n = 40
		refused := d.crowd(t, f, "/adaptive", n)
		if in := d.inside.Load(); in < 3 || refused == 0 || int64(refused)+in != n {
			t.Errorf("%d came in, and %d were refused", in, refused)
		}
		if refused := d.crowd(t, f, "/", n); refused != 0 {
			t.Errorf("a rule without a bound refuses %d", refused)
		}
		d.letGo()
	})
}

// TestTheQueueHasAnEnd, at its length and at its deadline.
func TestTheQueueHasAnEnd(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		d := &doorman{free: make(chan struct{})}
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", d)), to("web", func(r *route.Rule) {
			r.Policy.MaxInFlight, r.Policy.Queue = 2, route.Queue{Length: 3, Deadline: 30 * time.Millisecond}
		}))
		if refused := d.crowd(t, f, "/", 10); refused != 8 {
			t.Errorf("%d are refused: five at once, and three who have waited", refused)
		}
		if in := d.inside.Load(); in != 2 {
			t.Errorf("%d came in", in)
		}
		d.letGo()
		if l := f.booked("web"); l.Accepted != 10 || l.Served != 2 || l.Shed != 8 || l.Held < 3 {
			t.Errorf("%+v", l)
		}
	})
}

// TestWhoBreaksIsLeftOut: failures in a row are enough, without an answer that says so. Its requests have theirs elsewhere.
func TestWhoBreaksIsLeftOut(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var asked atomic.Int64
		bad := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asked.Add(1)
			panic(http.ErrAbortHandler)
		}))
		p := pools("web", bad, start(t, "tcp", "web.r1.2", answer("good")), start(t, "tcp", "web.r1.3", answer("good")))["web"]
		p.Outlier = OutlierConfig{Consecutive: 4, Base: time.Hour, Max: time.Hour, MaxEjected: 50}
		f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
		if got := counts(t, f, "/", 40); got["good"] != 40 || asked.Load() != 4 {
			t.Errorf("%v, and the bad one was asked %d times", got, asked.Load())
		}
		if !f.of("web", bad).balance.Ejected() {
			t.Error("it is not left out")
		}
	})
}

// TestWhoFailsOftenIsLeftOut: by the part of its requests that fail, though never many in a row.
func TestWhoFailsOftenIsLeftOut(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		failing := func(every int64) http.Handler {
			var n atomic.Int64
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1)%every == 0 {
					w.WriteHeader(500)
				}
			})
		}
		bad, fair := start(t, "tcp", "web.r1.1", failing(2)), start(t, "tcp", "web.r1.2", failing(5))
		p := pools("web", bad, fair)["web"]
		p.Outlier = OutlierConfig{FailurePercent: 40, Status5xx: true, Base: time.Second, Max: time.Hour, MaxEjected: 100}
		f.goBy(map[string]PoolConfig{"web": p}, to("web", inTurn))
		var over atomic.Bool
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				c := client(t)
				for !over.Load() {
					resp, err := c.Get(f.url("/"))
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close() //nolint:errcheck // there is none
				}
			})
		}
		eventually(t, "the bad one is left out", func() bool { return f.of("web", bad).balance.Ejected() || t.Failed() })
		if f.of("web", fair).balance.Ejected() {
			t.Error("and the fair one too")
		}
		over.Store(true)
		all.Wait()
	})
}

// TestLeastTime: who answers sooner gets more, though it has no more in hand. How long an answer took here is for the machine to
// say; so one of them is said to have taken an hour.
func TestLeastTime(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		slow := start(t, "tcp", "web.r1.1", answer("slow"))
		f.goBy(pools("web", slow, start(t, "tcp", "web.r1.2", answer("quick"))), to("web", func(r *route.Rule) { r.Policy.Balance.Algorithm = route.LeastTime }))
		if got := counts(t, f, "/", 2); len(got) != 2 { // of whom nothing is known is asked first, and an answer makes known
			t.Errorf("at first: %v", got)
		}
		f.of("web", slow).balance.Observe(f.now(), time.Hour)
		if got := counts(t, f, "/", 40); got["quick"] != 40 {
			t.Errorf("%v", got)
		}
	})
}

// TestKeysStay with their instances when others come and go.
func TestKeysStay(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var apps []*app
		for i := range 5 {
			apps = append(apps, start(t, "tcp", fmt.Sprintf("web.r1.%d", i), answer(fmt.Sprint(i))))
		}
		const keys = 200
		c := client(t)
		at := func(path string) map[int]string {
			got := map[int]string{}
			for key := range keys {
				_, got[key] = get(t, c, f.url(fmt.Sprintf("%s?key=%d", path, key)))
			}
			return got
		}
		rules := []route.Rule{}
		for _, a := range []route.Algorithm{route.Rendezvous, route.Maglev} {
			rules = append(rules, to("web", func(r *route.Rule) {
				r.Match.Path, r.Policy.Balance = "/"+string(a), route.Balance{Algorithm: a, Key: route.Key{From: route.FromQuery, Name: "key"}}
			}))
		}
		for path, allowed := range map[string]int{"/rendezvous": 0, "/maglev": keys / 10} {
			f.goBy(pools("web", apps...), rules...)
			before := at(path)
			for i := range apps {
				if n := len(slices.Collect(func(yield func(int) bool) {
					for k, v := range maps.All(before) {
						if v == fmt.Sprint(i) && !yield(k) {
							return
						}
					}
				})); n < keys/20 || n > keys/2 {
					t.Errorf("%s: %d of %d keys are at %d", path, n, keys, i)
				}
			}
			f.goBy(pools("web", apps[:4]...), rules...)
			moved := 0
			for key, now := range at(path) {
				switch {
				case now == "4":
					t.Fatalf("%s: key %d is where nobody is", path, key)
				case before[key] != "4" && now != before[key]:
					moved++
				}
			}
			if moved > allowed {
				t.Errorf("%s: %d keys moved whose instance stays", path, moved)
			}
			f.goBy(pools("web", apps[4], apps[2], apps[0], apps[1], apps[3]), rules...)
			if again := at(path); !maps.Equal(again, before) {
				t.Errorf("%s: keys are elsewhere when all are back, in another order", path)
			}
		}
	})
}

// TestThePoolHasTheBudget: rules that lead to it share it, and another Config is not another budget.
func TestThePoolHasTheBudget(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var asked atomic.Int64
		breaks := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asked.Add(1)
			panic(http.ErrAbortHandler)
		})
		p := pools("web", start(t, "tcp", "web.r1.1", breaks), start(t, "tcp", "web.r1.2", breaks))["web"]
		p.Outlier = OutlierConfig{}
		rule := func(path string, share float64) route.Rule {
			return to("web", func(r *route.Rule) {
				r.Match.Path, r.Policy.Retry = path, route.Retry{Tries: 2, Share: share, Floor: 2}
			})
		}
		begun := time.Now()
		c, sent := client(t), 0
		for range 2 {
			f.goBy(map[string]PoolConfig{"web": p}, rule("/a", 0.1), rule("/b", 0.1))
			for i := range 40 {
				sent++
				if resp, _ := get(t, c, f.url([]string{"/a", "/b"}[i%2])); resp.StatusCode != 502 {
					t.Fatal(resp.Status)
				}
			}
		}
		retries := asked.Load() - int64(sent)
		if most := int64(20 + 0.1*80 + 2*time.Since(begun).Seconds()); retries > most || retries < 20 {
			t.Errorf("%d retries of %d requests, want at most %d", retries, sent, most)
		}
		if got := value(f.scrape()["semper_edge_retries_denied_total"]); got != float64(int64(sent)-retries) {
			t.Errorf("%v denied", got)
		}
	})
}
