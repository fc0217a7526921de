package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// workersApp is an app of workers only: ask asks for its jobs, push gets them as requests, own has a broker of its own. What they
// do leaves lines in effects; own is busy while the file busy is there.
func workersApp(t *testing.T) (dir, effects, busy string) {
	t.Helper()
	dir = app(t, "one", "", "")
	shared, err := os.MkdirTemp("", "ef")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shared) })
	effects, busy = filepath.Join(shared, "effects"), filepath.Join(shared, "busy")
	for _, name := range []string{effects, busy} {
		write(t, name, "", 0o666)
	}
	for name, mode := range map[string]os.FileMode{shared: 0o755, effects: 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "semper.yaml"), fmt.Sprintf(`version: 1
app: bar
warm: 1m
env: { EFFECTS: %q }
services:
  ask:
    type: worker
    command: ./app
    env: { BEHAVIOUR: worker }
    jobs: { timeout: 5s }
  push:
    type: worker
    command: ./app
    listen: port
    jobs: { timeout: 20s }
  own:
    type: worker
    command: ./app
    env: { BEHAVIOUR: broker }
    quiesce: { signal: SIGUSR1, busy: test -e %s }
routes:
  - { path: /ask, to: ask, mode: async }
  - { path: /jobs, to: push, mode: async }
`, effects, busy), 0o644)
	return dir, effects, busy
}

// A worker's release is replaced in five steps, whichever way its jobs come: nothing is lost and nothing is done by a release that
// takes no more.
func TestWorkersAreReplacedByRelease(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, effects, busy := workersApp(t)
	s.must("deploy", "-f", dir)
	job := func(target, body string) string {
		t.Helper()
		var a answer
		eventually(t, "a job is accepted", func() bool { a = s.sent("POST", target, body); return a.status == 202 })
		return a.header.Get("Location")
	}
	ends := func(at, want string) {
		t.Helper()
		if a := s.sent("GET", at, "", "Prefer", "wait=25"); a.header.Get("Semper-Job-State") != "done" || !strings.Contains(a.body, want) {
			t.Errorf("a job came to %s, want %q", a, want)
		}
	}
	ends(job("/ask", "0s"), "done by r1")
	ends(job("/jobs/x", "hello"), "attempt 1")
	seen := func(line string) bool {
		b, err := os.ReadFile(effects)
		return err == nil && strings.Contains(string(b), line+"\n")
	}
	long := job("/ask", "12s") // longer than its lease
	id := filepath.Base(long)
	eventually(t, "r1 has the long job", func() bool { return strings.Contains(s.cli("logs", "--service", "ask", "-n", "50").out, "begins "+id) })

	write(t, filepath.Join(dir, "version.txt"), "two\n", 0o644)
	s.must("deploy", "-f", dir)
	ends(job("/ask", "0s"), "done by r2")
	if got := s.sent("GET", job("/jobs/y", "hello"), "", "Prefer", "wait=25"); got.header.Get("X-Done-By") != "r2" {
		t.Errorf("a job that is sent came to %s", got)
	}
	if out := s.must("status"); !strings.Contains(out, "draining 1 job") {
		t.Errorf("semper status does not say that a job is left:\n%s", out)
	}
	if err := syscall.Kill(s.part("queue"), syscall.SIGKILL); err != nil { // the job is the worker's nevertheless
		t.Error(err)
	}
	eventually(t, "the worker with a broker of its own is told", func() bool { return seen("r1 quiesced") })
	if seen("r1 ended") {
		t.Error("a worker that has jobs of its own was told to end")
	}
	if err := os.Remove(busy); err != nil {
		t.Error(err)
	}
	eventually(t, "it ends when it has none left", func() bool { return seen("r1 ended") })
	if seen("r1 " + id) {
		t.Error("the long job was over before it could be left")
	}
	ends(long, "done by r1")
	eventually(t, "the old release is warm", func() bool { return !strings.Contains(s.must("status"), "draining") })
}

// A release on trial gets its share of the jobs that workers ask for, and is judged by how they end.
func TestWorkersOnTrial(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := app(t, "one", "", "")
	yaml := func(fails int) {
		write(t, filepath.Join(dir, "semper.yaml"), fmt.Sprintf(`version: 1
app: bar
services:
  ask:
    type: worker
    command: ./app
    instances: 2
    env: { BEHAVIOUR: worker, FAILS: %d, TRY: %q }
    jobs: { attempts: 100 }
routes:
  - { path: /ask, to: ask, mode: async }
deploy:
  steps:
    - { traffic: 50%%, for: 1s, requests: 150 }
  judge: { interval: 200ms }
`, fails, fmt.Sprint(time.Now().UnixNano())), 0o644)
	}
	yaml(0)
	s.must("deploy", "-f", dir)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.sent("POST", "/ask", "0s")
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	yaml(5)
	if r := s.cli("deploy", "-f", dir); r.code != 3 || !strings.Contains(r.out+r.err, "errors") {
		t.Errorf("a release that fails a fifth of its jobs: exit %d\n%s%s", r.code, r.out, r.err)
	}
	yaml(0)
	if r := s.cli("deploy", "-f", dir); r.code != 0 {
		t.Errorf("a release that does as well: exit %d\n%s%s", r.code, r.out, r.err)
	}
	if st := s.status(); st.Release != "r3" {
		t.Errorf("%s serves", st.Release)
	}
}

// The shell script of the guide is a worker: it does jobs that were given by the guide's other line, and ends when it is told to.
func TestTheGuidesShellWorker(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	guide, err := os.ReadFile("../docs/guides/workers.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(begins string) string {
		_, rest, ok := strings.Cut(string(guide), "```sh\n"+begins)
		text, _, end := strings.Cut(rest, "```\n")
		if !ok || !end {
			t.Fatalf("the guide has no block that begins with %q", begins)
		}
		return begins + text
	}
	s := start(t)
	dir := app(t, "one", "", "")
	write(t, filepath.Join(dir, "work.sh"), block("#!/bin/sh\n"), 0o755)
	write(t, filepath.Join(dir, "give.sh"), "#!/bin/sh\nsleep 0.1\nuntil "+strings.TrimSpace(strings.Replace(block("curl --unix"), "curl", "curl -f", 1))+"\ndo sleep 0.2; done\nexec sleep 3600\n", 0o755)
	write(t, filepath.Join(dir, "semper.yaml"), `version: 1
app: bar
services:
  mail: { type: worker, command: ./work.sh, jobs: {} }
  give: { type: worker, command: ./give.sh }
routes:
  - { path: /mail, to: mail, mode: async }
`, 0o644)
	s.must("deploy", "-f", dir)
	if a := s.sent("POST", "/mail", "hello", "Prefer", "wait=25"); a.body != "HELLO" {
		t.Errorf("the script's job came to %s", a)
	}
	eventually(t, "the job that was given by the guide's line is done", func() bool {
		r := s.cli("queue", "show", "mail", "--state", "done", "-o", "json")
		return strings.Count(r.out, `"state": "done"`) == 2 || strings.Count(r.out, `"state":"done"`) == 2
	})
}
