package edge

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
)

// A pinning is a table whose clients stick to a release.
type pinning struct {
	release  int
	current  semper.Backend
	previous *app          // of the release before, to which they may go back
	replaced time.Duration // ago
	split    *semper.Split
	arms     map[semper.Arm]semper.Backend
}

// pin is the next table. Clients may go back for a minute.
func (f *fixture) pin(p pinning) {
	f.t.Helper()
	f.table(p.release, func(tab *semper.Table) {
		tab.StickyKey = []byte(strings.Repeat("k", 32))
		tab.Routes = []semper.Route{said(webPool, "/", "", "", `{"sticky":{"by":"release","for":"1m"},"retry":{"tries":4}}`)}
		if tab.Pools[0].Split = p.split; p.previous != nil {
			tab.Pools = append(tab.Pools, semper.Pool{
				Key: webPool.PoolOf(semper.ArmPrevious), Arm: semper.ArmPrevious, App: "bar", Release: semper.NameRelease(p.release - 1),
				Backend: []semper.Backend{p.previous.Backend}, ReplacedAt: time.Now().Add(-p.replaced),
			})
		}
		for a, b := range p.arms {
			release := p.release
			if a == semper.ArmCandidate {
				release++
			}
			tab.Pools = append(tab.Pools, semper.Pool{Key: webPool.PoolOf(a), Arm: a, App: "bar", Release: semper.NameRelease(release), Backend: []semper.Backend{b}})
		}
	}, p.current)
}

// jar is a client that keeps cookies.
func jar(t *testing.T) *http.Client {
	t.Helper()
	c := client(t)
	var err error
	if c.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// serves wants an answer of who.
func (f *fixture) serves(c *http.Client, who, when string) *http.Response {
	f.t.Helper()
	resp, body := get(f.t, c, f.url("/"))
	if resp.StatusCode != http.StatusOK || body != who {
		f.t.Errorf("%s: %s of %q, want %s", when, resp.Status, body, who)
	}
	return resp
}

// TestWhoKnowsTheReleaseBeforeGoesBackToIt for a window, whoever carries the request.
func TestWhoKnowsTheReleaseBeforeGoesBackToIt(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		one, two, three := start(t, "tcp", "web.r1.1", answer("r1")), start(t, "tcp", "web.r2.1", answer("r2")), start(t, "tcp", "web.r3.1", answer("r3"))
		f.pin(pinning{release: 1, current: one.Backend})
		known, idle := jar(t), jar(t)
		first := f.serves(known, "r1", "before")
		if c := first.Cookies(); len(c) != 1 || c[0].Name != "semper-release" || !c[0].HttpOnly {
			t.Errorf("cookies %v", c)
		}
		f.serves(idle, "r1", "before")
		if c := f.serves(known, "r1", "again").Cookies(); len(c) != 0 {
			t.Errorf("who is known is given %v", c)
		}

		f.pin(pinning{release: 2, current: two.Backend, previous: one})
		for range 5 {
			if c := f.serves(known, "r1", "in the window").Cookies(); len(c) != 0 {
				t.Errorf("in the window it is given %v", c)
			}
		}
		f.serves(client(t), "r2", "new in the window")
		forged := client(t)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		v := first.Cookies()[0].Value
		req.AddCookie(&http.Cookie{Name: "semper-release", Value: "B" + v[1:len(v)-1] + string(v[len(v)-1]^1)})
		if resp, err := forged.Do(req); err != nil || drainBody(t, resp) != "r2" {
			t.Errorf("a forged cookie: %v, %v", resp, err)
		}

		f.pin(pinning{release: 2, current: two.Backend, previous: one, replaced: 2 * time.Minute})
		f.serves(known, "r2", "after the route's window, by a table that is late")
		f.serves(known, "r2", "and then")
		f.pin(pinning{release: 2, current: two.Backend, previous: one})
		f.serves(known, "r2", "who has come to know r2")
		f.serves(idle, "r1", "who has not")

		f.pin(pinning{release: 3, current: three.Backend, previous: two})
		f.serves(known, "r2", "one release further")
		f.serves(idle, "r3", "whose release is gone")
		f.pin(pinning{release: 3, current: three.Backend})
		f.serves(known, "r3", "after the window")
	})
}

// TestNobodyFailsForTheReleaseBefore: when it has nobody left the current one serves, and goes on to.
func TestNobodyFailsForTheReleaseBefore(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		one, two := start(t, "tcp", "web.r1.1", answer("r1")), start(t, "tcp", "web.r2.1", answer("r2"))
		f.pin(pinning{release: 1, current: one.Backend})
		known := jar(t)
		f.serves(known, "r1", "before")
		f.pin(pinning{release: 2, current: two.Backend, previous: one})
		f.serves(known, "r1", "in the window")
		one.Close()
		known.CloseIdleConnections()
		f.serves(known, "r2", "with r1 dead")
		f.settled(2)
		if c := f.counted("")[semper.ArmStable]; c.Requests != 0 {
			t.Errorf("r2 is judged by %d requests of who knew r1", c.Requests)
		}
		f.serves(known, "r2", "from then on")
	})
}

// TestTheWindowChangesUnderLoad: tables come and go, and no request fails; who keeps cookies sees no release twice with another in between.
func TestTheWindowChangesUnderLoad(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		one, two := start(t, "tcp", "web.r1.1", answer("r1")), start(t, "tcp", "web.r2.1", answer("r2"))
		f.pin(pinning{release: 1, current: one.Backend})
		var all sync.WaitGroup
		var stop atomic.Bool
		var served atomic.Int64
		for range 4 {
			c := jar(t)
			all.Go(func() {
				last, changes := "r1", 0
				for over := false; !over; {
					over = stop.Load() // one more is asked behind the end, so that each client has been there
					resp, err := c.Get(f.url("/"))
					if err != nil {
						t.Error(err)
						return
					}
					body := drainBody(t, resp)
					if resp.StatusCode != http.StatusOK {
						t.Errorf("%s %q", resp.Status, body)
					}
					if body != last {
						last, changes = body, changes+1
					}
					served.Add(1)
				}
				if last != "r2" || changes != 1 {
					t.Errorf("a client went over %d times, and is at %s", changes, last)
				}
			})
		}
		step := func(p pinning) {
			f.pin(p)
			n := served.Load() + 40
			eventually(t, "forty more are served", func() bool { return served.Load() >= n })
		}
		eventually(t, "some are served", func() bool { return served.Load() > 40 })
		for range 5 {
			step(pinning{release: 2, current: two.Backend, previous: one})
		}
		step(pinning{release: 2, current: two.Backend})
		stop.Store(true)
		all.Wait()
	})
}

// TestATrialLeavesAloneWhoKnowsARelease: who came before the split stays and is not counted, who came while it is on is drawn once, and
// counted on his side from then on.
func TestATrialLeavesAloneWhoKnowsARelease(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		one, two, fresh := start(t, "tcp", "web.r1.1", answer("r1")), start(t, "tcp", "web.r2.1", answer("r2")), start(t, "tcp", "web.r1.2", answer("r1"))
		f.pin(pinning{release: 1, current: one.Backend})
		const n = 24
		var old []*http.Client
		for range n {
			old = append(old, jar(t))
			f.serves(old[len(old)-1], "r1", "before")
		}
		trial := pinning{
			release: 1, current: one.Backend, arms: map[semper.Arm]semper.Backend{semper.ArmCandidate: two.Backend, semper.ArmBaseline: fresh.Backend},
			split: &semper.Split{Rollout: "d-2", Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: 0.5}, {Arm: semper.ArmBaseline, Share: 0.5}}},
		}
		f.pin(trial)
		for i, c := range old {
			f.serves(c, "r1", fmt.Sprintf("who was there, %d", i))
		}
		drawn := make(map[string]int)
		for range n {
			c := jar(t)
			_, first := get(t, c, f.url("/"))
			drawn[first]++
			for range 3 {
				f.serves(c, first, "who was drawn")
			}
		}
		got := f.counted("d-2")
		candidate, baseline, stable := got[semper.ArmCandidate], got[semper.ArmBaseline], got[semper.ArmStable]
		if stable.Assigned != 0 || candidate.Requests != uint64(4*drawn["r2"]) || baseline.Requests != uint64(4*drawn["r1"]) {
			t.Errorf("drawn %v; counted %d and %d, and %d of who was there", drawn, candidate.Requests, baseline.Requests, stable.Assigned)
		}
		if drawn["r1"] == 0 || drawn["r2"] == 0 {
			t.Errorf("of %d each was drawn to one side: %v", n, drawn)
		}
		trial.split = &semper.Split{Rollout: "d-3", Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: 1}}}
		f.pin(trial)
		f.serves(old[0], "r1", "who was there, with all of the rest at the candidate")
		f.serves(jar(t), "r2", "who is new")
	})
}
