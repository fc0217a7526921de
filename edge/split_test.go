package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"semper"
)

// eachWay runs a test with requests that drivers carry, and with such as are for net/http's way.
func eachWay(t *testing.T, run func(t *testing.T, f *fixture, policy map[string]any)) {
	t.Helper()
	for name, policy := range map[string]map[string]any{
		"by the driver": {}, "by net/http": {"compress": "on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy["retry"] = map[string]any{"tries": 4, "share": 1, "floor": 1000}
			run(t, newFixture(t), policy)
		})
	}
}

// try is the next table: r1 serves, and r2 is on trial by s, where that has arms, with a baseline where there are backends for it.
func (f *fixture) try(policy map[string]any, s semper.Split, stable []semper.Backend, arms map[semper.Arm][]semper.Backend) {
	f.t.Helper()
	words, err := json.Marshal(policy)
	if err != nil {
		f.t.Fatal(err)
	}
	f.table(1, func(tab *semper.Table) {
		if tab.Routes[0].Policy = words; len(s.Arms) > 0 {
			s.Rollout, tab.Pools[0].Split = "ro1", &s
		}
		for a, backends := range arms {
			p := semper.Pool{Key: webPool.PoolOf(a), Arm: a, App: "bar", Release: "r2", Backend: backends}
			if a == semper.ArmBaseline {
				p.Release = "r1"
			}
			tab.Pools = append(tab.Pools, p)
		}
	}, stable...)
}

// counted is what the edge says on its socket of the arms of a rollout, when nothing is in flight.
func (f *fixture) counted(rollout string) map[semper.Arm]semper.ArmCounts {
	f.t.Helper()
	f.settled(1)
	f.settled(2)
	eventually(f.t, "no handler is left", func() bool { return f.handlers.Load() == 0 })
	w := httptest.NewRecorder()
	f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/arms", nil))
	var all []semper.ArmCounts
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || w.Code != http.StatusOK {
		f.t.Fatal(w.Code, err)
	}
	out := make(map[semper.Arm]semper.ArmCounts)
	for _, c := range all {
		if c.Rollout == rollout {
			out[c.Arm] = c
		}
	}
	return out
}

// askWith is one request with a header field; where it went, and whether it was served.
func askWith(t *testing.T, c *http.Client, method, url, field, value string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if field != "" {
		req.Header.Set(field, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp, drainBody(t, resp)
}

// shares are candidate's and baseline's.
func shares(by string, candidate, baseline float64) semper.Split {
	return semper.Split{By: by, Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: candidate}, {Arm: semper.ArmBaseline, Share: baseline}}}
}

// namedArms starts an instance for each arm, which answers with the arm's name and counts.
func namedArms(t *testing.T) (seen map[string]*atomic.Uint64, stable []semper.Backend, arms map[semper.Arm][]semper.Backend) {
	t.Helper()
	seen, arms = make(map[string]*atomic.Uint64), make(map[semper.Arm][]semper.Backend)
	for _, a := range []semper.Arm{semper.ArmStable, semper.ArmCandidate, semper.ArmBaseline} {
		n := new(atomic.Uint64)
		seen[string(a)] = n
		one := start(t, "tcp", "web."+string(a), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			fmt.Fprint(w, a)
		})).Backend
		if a == semper.ArmStable {
			stable = append(stable, one)
			continue
		}
		arms[a] = append(arms[a], one)
	}
	return seen, stable, arms
}

// TestUsersKeepTheirArm: who is in the candidate stays while its share grows, goes when it shrinks, and what is counted is what the
// instances have seen.
func TestUsersKeepTheirArm(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		seen, stable, arms := namedArms(t)
		c := client(t)
		const users = 300
		var was [users]string
		for step, s := range []semper.Split{shares("header:X-User", .1, .1), shares("header:X-User", .4, .4), shares("header:X-User", .1, .1)} {
			f.try(policy, s, stable, arms)
			n := map[string]int{}
			for u := range users {
				resp, arm := askWith(t, c, http.MethodGet, f.url("/"), "X-User", fmt.Sprint("user-", u))
				if want := map[string]string{"stable": "r1", "baseline": "r1", "candidate": "r2"}[arm]; resp.Header.Get("X-Semper-Release") != want {
					t.Fatalf("%s said to be of %s", arm, resp.Header.Get("X-Semper-Release"))
				}
				n[arm]++
				if before := was[u]; step == 1 && before != "stable" && arm != before || step == 2 && arm != "stable" && arm != before {
					t.Errorf("step %d: user %d went from %s to %s", step, u, before, arm)
				}
				was[u] = arm
			}
			for _, a := range []string{"candidate", "baseline"} { // always the same users: 30 ± 5.2 and 120 ± 8.5
				if want := int(s.Arms[0].Share * users); n[a] < want-25 || n[a] > want+25 {
					t.Errorf("step %d: %v", step, n)
				}
			}
		}
		for a, got := range f.counted("ro1") {
			if want := seen[string(a)].Load(); got.Assigned != want || got.Requests != want || got.Failed != 0 || got.Users == 0 || got.Users > want {
				t.Errorf("%s: %+v, its instance has seen %d", a, got, want)
			}
		}
	})
}

// TestNobodyFailsForASplit: an arm that has nobody ready, or nobody at all, costs no request, and the count says what there was.
func TestNobodyFailsForASplit(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, _ := namedArms(t)
		dead := start(t, "tcp", "web.r2.1", says(2))
		dead.kill()
		c := client(t)
		const n = 20
		for name, arms := range map[string]map[semper.Arm][]semper.Backend{
			"nobody ready": {semper.ArmCandidate: {}}, "dead": {semper.ArmCandidate: {dead.Backend}}, "no pool": {},
		} {
			f.try(policy, shares("", 1, 0), stable, arms)
			before := f.counted("ro1")[semper.ArmCandidate]
			for i := range n {
				if resp, body := askWith(t, c, []string{http.MethodGet, http.MethodPost}[i%2], f.url("/"), "", ""); resp.StatusCode != 200 || body != "stable" {
					t.Fatalf("%s: %s %s", name, resp.Status, body)
				}
			}
			got := f.counted("ro1")[semper.ArmCandidate]
			missed, failed := got.Missed-before.Missed, got.Failed-before.Failed
			switch {
			case name == "nobody ready" && (missed != n || failed != 0), name == "no pool" && missed+failed != 0:
				t.Errorf("%s: %d missed, %d failed", name, missed, failed)
			case name == "dead" && (failed == 0 || missed+failed != n): // the first finds out
				t.Errorf("%s: %d missed, %d failed", name, missed, failed)
			}
		}
	})
}

// TestRetriesCountAgainstTheArm: another instance of the arm is tried first, then the stable pool. The client is served; the arm that failed has failed.
func TestRetriesCountAgainstTheArm(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, _ := namedArms(t)
		breaker, broke := breaking(t, 1<<30)
		breaker.ID = "bar/web.r2.1"
		good := start(t, "tcp", "web.r2.2", answer("candidate"))
		c := client(t)
		const n = 40
		f.try(policy, shares("", 1, 0), stable, map[semper.Arm][]semper.Backend{semper.ArmCandidate: {breaker.Backend, good.Backend}})
		for range n {
			if resp, body := askWith(t, c, http.MethodGet, f.url("/"), "", ""); resp.StatusCode != 200 || body != "candidate" {
				t.Fatalf("beside a good one: %s %s", resp.Status, body)
			}
		}
		one := f.counted("ro1")[semper.ArmCandidate]
		if one.Requests != n || one.Failed == 0 || one.Failed != uint64(broke.Load()) {
			t.Errorf("%+v, and %d were broken off", one, broke.Load())
		}
		f.try(policy, shares("", 1, 0), stable, map[semper.Arm][]semper.Backend{semper.ArmCandidate: {breaker.Backend}})
		for range n {
			if resp, body := askWith(t, c, http.MethodGet, f.url("/"), "", ""); resp.StatusCode != 200 || body != "stable" {
				t.Fatalf("a bad one alone: %s %s", resp.Status, body)
			}
		}
		if resp, _ := askWith(t, c, http.MethodPost, f.url("/"), "", ""); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("a POST that was sent: %s", resp.Status)
		}
		two := f.counted("ro1")
		if got := two[semper.ArmCandidate]; got.Requests != 2*n+1 || got.Failed != one.Failed+n+1 || got.Missed != 0 {
			t.Errorf("%+v after %+v", got, one)
		}
		if got := two[semper.ArmStable]; got.Assigned+got.Requests+got.Failed != 0 {
			t.Errorf("the stable arm, which nobody was assigned to, has %+v", got)
		}
	})
}

// TestErrorsAreTheArms: what an app answers with 500-599 has failed, and 404 has not.
func TestErrorsAreTheArms(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, _ := namedArms(t)
		bad := start(t, "tcp", "web.r2.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var status int
			fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &status) //nolint:errcheck // the test's own
			w.WriteHeader(status)
		}))
		f.try(policy, shares("header:X-User", 1, 0), stable, map[semper.Arm][]semper.Backend{semper.ArmCandidate: {bad.Backend}})
		c := client(t)
		for i, status := range []int{200, 404, 500, 503, 429, 599, 204} {
			if resp, _ := askWith(t, c, http.MethodGet, f.url(fmt.Sprint("/", status)), "X-User", fmt.Sprint(i/3)); resp.StatusCode != status {
				t.Errorf("%d became %s", status, resp.Status)
			}
		}
		if got := f.counted("ro1")[semper.ArmCandidate]; got.Requests != 7 || got.Failed != 3 || got.Users != 3 || got.Hurt != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTestersAreCountedApart(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, arms := namedArms(t)
		s := shares("", 0, 0)
		s.Testers = json.RawMessage(`[{"header":{"X-Tester":"yes"}}]`)
		f.try(policy, s, stable, arms)
		c := client(t)
		for value, want := range map[string]string{"yes": "candidate", "no": "stable"} {
			if _, got := askWith(t, c, http.MethodGet, f.url("/"), "X-Tester", value); got != want {
				t.Errorf("%s went to %s", value, got)
			}
		}
		got := f.counted("ro1")
		if got[semper.ArmTester].Requests != 1 || got[semper.ArmTester].Release != "r2" || got[semper.ArmCandidate].Assigned != 0 || got[semper.ArmStable].Requests != 1 {
			t.Errorf("%+v", got)
		}
		w := httptest.NewRecorder()
		f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range []string{
			`semper_traffic_weight_ratio{semper_app="bar",semper_release="r1",semper_arm="stable",semper_pool="bar/production/web"} 1`,
			`semper_traffic_weight_ratio{semper_app="bar",semper_release="r2",semper_arm="candidate",semper_pool="bar/production/web"} 0`,
			`semper_edge_retries_denied_total{semper_app="bar",semper_release="r2",semper_arm="tester",semper_pool="bar/production/web",http_route="/"} 0`,
		} {
			if !strings.Contains(w.Body.String(), want+"\n") {
				t.Errorf("metrics do not have %s", want)
			}
		}
	})
}

// TestTheEdgeGivesUsersACookie, and knows them by it.
func TestTheEdgeGivesUsersACookie(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, arms := namedArms(t)
		f.try(policy, shares("user", .5, .5), stable, arms)
		for range 10 {
			c := client(t)
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Jar = jar
			resp, arm := askWith(t, c, http.MethodGet, f.url("/"), "", "")
			set := resp.Header.Values("Set-Cookie")
			if len(set) != 1 || !strings.HasPrefix(set[0], "semper-user=") || !strings.HasSuffix(set[0], "; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax") {
				t.Fatalf("Set-Cookie: %q", set)
			}
			for range 3 {
				resp, again := askWith(t, c, http.MethodGet, f.url("/"), "", "")
				if again != arm || len(resp.Header.Values("Set-Cookie")) > 0 {
					t.Errorf("went to %s, then to %s with %q", arm, again, resp.Header.Values("Set-Cookie"))
				}
			}
		}
		got := f.counted("ro1")
		if n := got[semper.ArmCandidate].Users + got[semper.ArmBaseline].Users; n != 10 {
			t.Errorf("%d users of 10: %+v", n, got)
		}
	})
}

// TestSessionsStickWithinTheirArm: the arm goes before the instance, so that who has a cookie is no tester for ever.
func TestSessionsStickWithinTheirArm(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		two := func(name string) (all []semper.Backend) {
			for i := range 2 {
				all = append(all, start(t, "tcp", fmt.Sprint("web.", name, i), answer(fmt.Sprint(name, i))).Backend)
			}
			return all
		}
		stable, arms := two("stable"), map[semper.Arm][]semper.Backend{semper.ArmCandidate: two("candidate")}
		policy["sticky"] = "sid"
		c := client(t)
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Jar = jar
		for _, share := range []float64{0, 1, 0, 1} {
			f.try(policy, shares("", share, 0), stable, arms) // by chance: as these clients stick, by user
			_, first := get(t, c, f.url("/"))
			if want := map[float64]string{0: "stable", 1: "candidate"}[share]; !strings.HasPrefix(first, want) {
				t.Fatalf("at %g it went to %s", share, first)
			}
			for range 10 {
				if _, again := get(t, c, f.url("/")); again != first {
					t.Fatalf("from %s to %s", first, again)
				}
			}
		}
		if got := f.counted("ro1")[semper.ArmCandidate]; got.Users != 1 || got.Requests != 22 {
			t.Errorf("%+v", got)
		}
	})
}

// TestAHeldPoolHoldsItsArms, though nobody says so of them.
func TestAHeldPoolHoldsItsArms(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		_, stable, arms := namedArms(t)
		f.try(policy, shares("", 1, 0), stable, arms)
		held := f.tab
		held.Epoch, held.Pools[0].Hold = held.Epoch+1, semper.Holds{{By: "test"}}
		if err := f.Apply(held); err != nil {
			t.Fatal(err)
		}
		f.tab = held
		var wg sync.WaitGroup
		c := client(t)
		wg.Go(func() {
			resp, err := c.Get(f.url("/"))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close() //nolint:errcheck // its head will do
			if got := resp.Header.Get("X-Semper-Release"); got != "r1" {
				t.Errorf("served by %s", got)
			}
		})
		eventually(t, "one waits", func() bool { return f.State().Held[webPool.PoolOf(semper.ArmCandidate)] == 1 })
		f.table(1, nil, stable...) // the hold ends, and with it the trial
		wg.Wait()
	})
}
