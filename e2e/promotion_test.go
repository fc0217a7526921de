package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/pipeline/course"
)

// twins is an app of two web services that are two copies of one program.
func twins(t *testing.T, version, smoke, extra string) string {
	t.Helper()
	dir := app(t, version, "", `  api:
    type: web
    command: ./app
    instances: 2
    health: { path: /, grace: 45s }
    stop: { timeout: 1s }
`+extra)
	at := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(b), "  - { path: /, to: web }", "  - { path: /, to: web }\n  - { path: /api, to: api }", 1)
	write(t, at, yaml, 0o644)
	write(t, filepath.Join(dir, "smoke.sh"), smoke, 0o755)
	return dir
}

// promoted is that app with a pipeline: a command before beta, and for production a yes and a trial under load.
func promoted(t *testing.T, version, smoke, timeout, hook string) string {
	t.Helper()
	return twins(t, version, smoke, fmt.Sprintf(`environments:
  beta:
    scale: { web: 1, api: 1 }
    hosts: { "*": beta.example.com }
    gates: [{ run: ./smoke.sh, when: before, timeout: %s }]
  production:
    gates: [{ approve: [ops], expires: 1h }, { canary: true }]
deploy:
  judge: { interval: 200ms, alpha: 0.0001 }
  steps: [{ traffic: 50%%, for: 500ms, requests: 50 }]
webhooks: [{ url: %q, secret: hook_key, events: [gate.*] }]`, timeout, hook))
}

// seen are pairs of requests to both its services, one after the other, by the releases that served them.
type seen struct {
	mu    sync.Mutex
	pairs map[[2]string]int
	bad   []string
}

// visit has clients ask for such pairs, half of them in the other order, until the returned function is called.
func (s *server) visit(clients int) (out *seen, stop func()) {
	var end atomic.Bool
	var wg sync.WaitGroup
	out = &seen{pairs: map[[2]string]int{}}
	for i := range clients {
		wg.Go(func() {
			c := http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			paths := [2]string{"/", "/api"}
			if i%2 == 1 {
				paths[0], paths[1] = paths[1], paths[0]
			}
			for !end.Load() {
				var pair [2]string
				var errs [2]error
				for k, path := range paths {
					pair[k], errs[k] = s.release(&c, path)
				}
				out.mu.Lock()
				out.pairs[pair]++
				for k, err := range errs {
					if err != nil {
						out.bad = append(out.bad, paths[k]+": "+err.Error())
					}
				}
				out.mu.Unlock()
			}
		})
	}
	return out, func() {
		end.Store(true)
		wg.Wait()
	}
}

// release asks for path, and is which release the answer is of.
func (s *server) release(c *http.Client, path string) (string, error) {
	resp, err := c.Get("http://" + s.http + path)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of %s", resp.Status, resp.Header.Get("X-Semper-Release"))
	}
	return resp.Header.Get("X-Semper-Release"), err
}

// count is how many pairs these releases served.
func (v *seen) count(first, second string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pairs[[2]string{first, second}]
}

// none fails the test where a request failed.
func (v *seen) none(t *testing.T, what string) {
	t.Helper()
	if len(v.bad) > 0 || len(v.pairs) == 0 {
		t.Errorf("%s: %d requests failed of %v: %s", what, len(v.bad), v.pairs, strings.Join(v.bad[:min(5, len(v.bad))], "; "))
	}
}

// together deploys a release of both services under load: whoever has seen one of them in it sees the other one in it from then on.
func (s *server) together(t *testing.T) {
	t.Helper()
	s.must("deploy", "-f", twins(t, "one", "", ""))
	v, stop := s.visit(8)
	eventually(t, "the first release serves", func() bool { return v.count("r1", "r1") > 0 })
	s.must("deploy", "-f", twins(t, "two", "", ""))
	eventually(t, "the second release serves", func() bool { return v.count("r2", "r2") > 0 })
	stop()
	v.none(t, "two services at once")
	old, over, now := v.count("r1", "r1"), v.count("r1", "r2"), v.count("r2", "r2")
	if n := v.count("r2", "r1"); n > 0 {
		t.Errorf("%d times, who had seen one service of r2 saw the other one of r1: %v", n, v.pairs)
	}
	for _, path := range []string{"/", "/api"} {
		if rel, err := s.release(s.web, path); rel != "r2" || err != nil {
			t.Errorf("%s is of %s: %v", path, rel, err)
		}
	}
	want := map[semper.ReleaseName]int{"r1": 2*old + over, "r2": 2*now + over + 2}
	eventually(t, "the ledger knows of each request, and the release", func() bool {
		ledger := s.status().Ledger
		return int(ledger["r1"].Served) == want["r1"] && int(ledger["r2"].Served) == want["r2"]
	})
}

// smoking are the processes of a command gate that hangs.
func (s *server) smoking() (pids []int) {
	for _, pid := range s.processes() {
		if line := cmdline(pid); strings.Contains(line, "smoke.sh") || strings.Contains(line, "sleep 86401") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// caller is a client of the API over TCP, as a new user.
func (s *server) caller(addr, name string, flags ...string) (*api.Client, string) {
	s.t.Helper()
	token := strings.TrimSpace(s.must(append([]string{"user", "add", name, "-o", "name"}, flags...)...))
	c, err := api.NewClient("http://"+addr, api.ClientOptions{Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	return c, token
}

// deaf is a receiver of webhooks that takes what it is sent and never answers.
func deaf(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(end); srv.Close() })
	return srv.URL, asked
}

// TestPromotion takes a release of two services to production past all that stands in its way: a gate's command that does not end, a receiver of
// webhooks that does not answer, people who may not say yes and who go around the gates, and a judge.
func TestPromotion(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	s := start(t, "--api", addr)
	s.together(t)
	hook, asked := deaf(t)
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, "0123456789abcdef", 0o600)
	s.must("secret", "set", "hook_key", "-a", "bar", "--from", key)

	// Who is told to end does not, and who it began has left its group.
	const hangs = "#!/bin/sh\ntrap '' TERM\nsetsid sleep 86401 &\nsleep 86401\n"
	s.must("pipeline", "run", "-f", promoted(t, "three", hangs, "5s", hook), "--detach")
	var hung []int
	eventually(t, "the gate's command and what it began run", func() bool {
		hung = s.smoking()
		return len(hung) >= 2 || s.runs()[0].State == course.Failed
	})
	t.Logf("processes of the gate's command: %v", hung) // none where the machine took the whole deadline to show them
	vera, pass := s.caller(addr, "vera", "--role", "viewer")
	dave, _ := s.caller(addr, "dave", "--role", "deployer")
	olga, _ := s.caller(addr, "olga", "--role", "deployer", "--group", "ops")
	eventually(t, "the gate's deadline", func() bool { return s.runs()[0].State == course.Failed })
	if r := s.runs()[0]; !strings.Contains(r.Reason, "it took longer than 5s") {
		t.Errorf("the run of a gate that hangs ended: %s", r.Reason)
	}

	s.must("pipeline", "run", "-f", promoted(t, "four", "#!/bin/sh\nexit 0\n", "1m", hook), "--detach")
	eventually(t, "somebody is asked", func() bool { return len(s.runs()[0].Asks) > 0 })
	before := s.production()
	s.refused(t, dave, "deploys around the gates")
	if code := s.asApp(addr, pass, "/v1/runs/approve", map[string]string{"why": "me too"}, &struct{}{}); code != http.StatusForbidden {
		t.Errorf("a viewer's yes: status %d", code)
	}
	for name, c := range map[string]*api.Client{"vera": vera, "dave": dave} {
		if _, err := c.Approve(t.Context(), "bar", "", "me too"); semper.CodeOf(err) != semper.Forbidden {
			t.Errorf("the yes of %s: %v", name, err)
		}
	}
	if now := s.production(); now.Release != "r2" || now.Rollout.ID != before.Rollout.ID || len(s.runs()[0].Asks) == 0 {
		t.Errorf("after refusals %s serves by %s, and %+v", now.Release, now.Rollout.ID, s.runs()[0])
	}
	record := s.must("events")
	for _, want := range []string{"approve of p-2 refused: vera (viewer)", "approve of p-2 refused: dave (deployer)"} {
		if !strings.Contains(record, want) {
			t.Errorf("%q is not on record:\n%s", want, record)
		}
	}

	v, stop := s.visit(8)
	if _, err := olga.Approve(t.Context(), "bar", "", "seen"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the release is on trial, or was", func() bool { return v.count("r4", "r4") > 0 || s.runs()[0].State != course.Running })
	eventually(t, "the run ends", func() bool { return s.runs()[0].State != course.Running })
	stop()
	v.none(t, "a promotion on trial")
	s.arrived(t, olga, asked)
	eventually(t, "nothing is left of the gate's command", func() bool { return len(s.smoking()) == 0 })
}

// production is how it stands there, beside beta.
func (s *server) production() api.Status {
	s.t.Helper()
	st := printed[api.Status](s, "status", "-e", "production")
	if st.Rollout == nil {
		s.t.Fatalf("%+v", st)
	}
	return st
}

// refused has c deploy what lacks statements: a release that failed its gate and one that waits for a yes.
func (s *server) refused(t *testing.T, c *api.Client, what string) {
	t.Helper()
	all, err := c.Releases(t.Context(), "bar")
	if err != nil {
		t.Fatal(err)
	}
	n := len(all)
	for _, r := range all[:2] {
		_, err := c.Deploy(t.Context(), api.DeployRequest{Spec: r.Spec, Artifact: r.Artifact})
		if semper.CodeOf(err) != semper.Forbidden || !strings.Contains(err.Error(), "production/approval") {
			t.Errorf("%s with %s: %v", what, r.Name, err)
		}
	}
	if all, err = c.Releases(t.Context(), "bar"); err != nil || len(all) != n {
		t.Errorf("refused, they are releases: %d, and before %d (%v)", len(all), n, err)
	}
}

// arrived says that the newest release came to production by statements alone, and that who was not told held up nothing.
func (s *server) arrived(t *testing.T, c *api.Client, asked *atomic.Int64) {
	t.Helper()
	run := s.runs()[0]
	if run.State != course.Passed {
		t.Fatalf("the run ended %s: %s\n%s", run.State, run.Reason, s.must("pipeline", "show"))
	}
	s.serves(string(run.Release), "four")
	all, err := c.Attestations(t.Context(), "bar", run.Release)
	if err != nil {
		t.Fatal(err)
	}
	var gates []string
	for _, a := range all {
		if gates = append(gates, a.Environment+"/"+a.Gate); a.Invalid != "" {
			t.Errorf("%s does not count: %s", a.Name, a.Invalid)
		}
		if a.Kind == semper.GateApproval && (a.By != "olga" || a.Why != "seen") {
			t.Errorf("the yes is of %s: %s", a.By, a.Why)
		}
	}
	slices.Sort(gates)
	if want := []string{"beta/tests", "production/approval", "production/canary"}; !slices.Equal(gates, want) {
		t.Errorf("statements about %v", gates)
	}
	if j := s.judgement(s.production().Rollout.ID); len(j.Steps) == 0 || j.Steps[0].Verdict.Outcome != semper.BetterOrEqual || j.Steps[0].Candidate.Requests < 50 {
		t.Errorf("the trial: %+v", j.Steps)
	}
	l, err := c.Pipelines(t.Context(), "bar")
	if err != nil || len(l) != 1 || len(l[0].Webhooks) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if w := l[0].Webhooks[0]; asked.Load() == 0 || w.Behind == 0 || w.Missed > 0 {
		t.Errorf("who never answers was asked %d times, and it stands %+v", asked.Load(), w)
	}
}
