package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// asyncApp is an app whose requests below /jobs are done later, and the file in which each effect leaves a line.
func asyncApp(t *testing.T) (dir, effects string) {
	t.Helper()
	dir = app(t, "one", "", "")
	shared, err := os.MkdirTemp("", "ef")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shared) })
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	effects = filepath.Join(shared, "effects")
	write(t, effects, "", 0o666)
	if err := os.Chmod(effects, 0o666); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), `env: { BEHAVIOUR: "" }`, fmt.Sprintf("env: { EFFECTS: %q }\n    jobs: { attempts: 100, timeout: 10s, body: 64KiB }", effects), 1)
	write(t, name, text+"  - { path: /jobs, to: web, mode: async }\n", 0o644)
	return dir, effects
}

// An answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   string
}

// sent is the answer to one request; header is pairs. A status of 0 is no answer.
func (s *server) sent(method, target, body string, header ...string) answer {
	r, err := http.NewRequest(method, "http://"+s.http+target, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.web.Do(r)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (a answer) String() string { return fmt.Sprintf("%d %v %q", a.status, a.header, a.body) }

func TestAsyncRequestsAreDoneLater(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, _ := asyncApp(t)
	s.must("deploy", "-f", dir)
	s.serves("r1", "one")
	var first answer
	eventually(t, "a request is accepted", func() bool {
		first = s.sent("POST", "/jobs/a?x=1", "hello", "X-Client", "ann", "Idempotency-Key", `"k1"`, "Semper-Queue", "other/production/web", "Prefer", "respond-async")
		return first.status == http.StatusAccepted
	})
	at := first.header.Get("Location")
	if !strings.HasPrefix(at, "/.well-known/semper/requests/") || first.header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("accepted with %s", first)
	}
	done := s.sent("GET", at, "", "Prefer", "wait=25")
	want := fmt.Sprintf(`POST /jobs/a?x=1 ann attempt 1 host %s queue "": hello`, s.http)
	if done.status != http.StatusCreated || done.body != want || done.header.Get("X-Done-By") != "r1" || done.header.Get("Semper-Job-State") != "done" {
		t.Errorf("the answer is %s\nwant %s", done, want)
	}
	for _, tc := range []struct {
		what   string
		got    answer
		status int
	}{
		{"the same again", s.sent("POST", "/jobs/a?x=1", "hello", "Idempotency-Key", `"k1"`), 202},
		{"another under its key", s.sent("POST", "/jobs/a?x=1", "other", "Idempotency-Key", `"k1"`), 422},
		{"too large a body", s.sent("POST", "/jobs/a", strings.Repeat("x", 64<<10+1)), 413},
		{"a request that never was", s.sent("GET", path.Dir(at)+"/00000000000000000000000000", ""), 404},
		{"a change of what was accepted", s.sent("DELETE", at, ""), 405},
		{"one that is waited for", s.sent("PUT", "/jobs/flaky", "x", "Prefer", "wait=25"), 201},
		{"a route as any other", s.sent("GET", "/", "", "Semper-Queue", "bar/production/web"), 200},
	} {
		if tc.got.status != tc.status {
			t.Errorf("%s: %s, want %d", tc.what, tc.got, tc.status)
		}
		if tc.what == "the same again" && tc.got.header.Get("Location") != at {
			t.Errorf("the same again is at %s, not %s", tc.got.header.Get("Location"), at)
		}
		if tc.what == "one that is waited for" && !strings.Contains(tc.got.body, "attempt 2") {
			t.Errorf("one that was refused at first: %s", tc.got)
		}
	}
}

func TestAcceptedRequestsSurviveKills(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, effects := asyncApp(t)
	s.must("deploy", "-f", dir)
	s.serves("r1", "one")
	var mu sync.Mutex
	accepted := map[string]string{} // body by Location
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for c := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf("job %d of %d", i, c)
				a := s.sent("POST", "/jobs/a", body)
				if a.status == http.StatusAccepted {
					mu.Lock()
					accepted[a.header.Get("Location")] = body
					mu.Unlock()
				}
			}
		})
	}
	n := func() int { mu.Lock(); defer mu.Unlock(); return len(accepted) }
	more := func(after string) {
		t.Helper()
		before := n()
		eventually(t, "requests are accepted after kill -9 of "+after, func() bool { return n() > before+5 })
	}
	more("nothing")
	for _, kind := range []string{"queue", "edge", "control", "store"} {
		pid := s.part(kind)
		if pid == 0 {
			t.Errorf("there is no %s", kind)
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		more(kind)
	}
	if in := s.status().Instances; len(in) > 0 {
		_ = syscall.Kill(in[0].PID, syscall.SIGKILL)
		more("an instance")
	}
	close(stop)
	wg.Wait()
	for at, body := range accepted {
		var a answer
		eventually(t, at+" is done", func() bool {
			a = s.sent("GET", at, "", "Prefer", "wait=20")
			return a.status != 0 && a.status != http.StatusAccepted && a.status != http.StatusServiceUnavailable
		})
		if a.status != http.StatusCreated || !strings.HasSuffix(a.body, ": "+body) {
			t.Errorf("%s was acknowledged, and came to %s", at, a)
		}
	}
	b, err := os.ReadFile(effects)
	if err != nil {
		t.Fatal(err)
	}
	for at := range accepted {
		if !strings.Contains(string(b), path.Base(at)+"\n") {
			t.Errorf("%s is done, and nothing has happened", at)
		}
	}
	t.Logf("%d requests accepted, %d effects", len(accepted), strings.Count(string(b), "\n"))
}
