package e2e_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper/api"
)

// staged is an app that has to pass beta before production. Its gate ends when the file go is in the directory returned.
func staged(t *testing.T, version string) (dir, signal string) {
	t.Helper()
	signal, err := os.MkdirTemp("", "go")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(signal) })
	if err := os.Chmod(signal, 0o755); err != nil { //nolint:gosec // the gate runs as another user
		t.Fatal(err)
	}
	dir = app(t, version, "", `environments:
  beta:
    scale: { web: 1 }
    hosts: { "*": beta.example.com }
    gates: [{ run: ./smoke.sh, timeout: 1m, env: { SIGNAL: `+signal+` } }]
  production:
    gates: [{ name: vet, run: "echo vet of $SEMPER_RELEASE", when: before }, { approve: [admin], expires: 1h }]`)
	write(t, filepath.Join(dir, "smoke.sh"), "#!/bin/sh\necho \"smoke of $SEMPER_RELEASE in $SEMPER_ENVIRONMENT\"\nwhile [ ! -e \"$SIGNAL/go\" ]; do sleep 0.1; done\nexit \"$(cat \"$SIGNAL/go\")\"\n", 0o755)
	return dir, signal
}

func (s *server) runs() (runs []api.RunStatus) {
	s.t.Helper()
	for _, p := range asked(s, func(ctx context.Context, c *api.Client) ([]api.PipelineStatus, error) { return c.Pipelines(ctx, "") }) {
		runs = append(runs, p.Runs...)
	}
	return runs
}

// inBeta asks the edge for the host that the app has in beta.
func (s *server) inBeta() int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+s.http+"/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = "beta.example.com"
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A release goes through beta, its gate and somebody's yes to production; the control process is killed while the gate's command runs, and
// no door leads around the gates.
func TestPipeline(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, signal := staged(t, "one")
	r := s.cli("deploy", "-f", dir)
	wants(t, r, 4, "production refuses r1", "beta/tests", "production/approval", "semper pipeline run")
	s.must("pipeline", "run", "-f", dir, "--detach")
	eventually(t, "the gate's command runs", func() bool {
		return strings.Contains(s.cli("logs", "-e", "beta").out, "smoke of r1 in beta")
	})
	if code := s.inBeta(); code != 200 {
		t.Errorf("beta answers %d", code)
	}
	if err := syscall.Kill(s.part("control"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(signal, "go"), "0", 0o644)
	eventually(t, "somebody is asked", func() bool { runs := s.runs(); return len(runs) == 1 && len(runs[0].Asks) > 0 })
	if n := strings.Count(s.must("logs", "-e", "beta"), "smoke of"); n != 1 {
		t.Errorf("the command ran %d times", n)
	}
	if code, _ := s.get("/"); code == 200 {
		t.Error("production serves before the yes")
	}
	if out := s.must("logs", "-e", "production"); !strings.Contains(out, "vet of r1") {
		t.Errorf("a gate before production has run, and of what it printed there is only %q", out)
	}
	if v := s.sample("semper_check_verdict", `semper_environment="production"`, `check="approval"`, `verdict="running"`); v != 1 {
		t.Errorf("the metrics do not say that somebody is asked: %v", v)
	}
	s.must("pipeline", "stop", "--why", "an incident")
	s.must("pipeline", "approve", "--why", "seen")
	eventually(t, "the line is waited for", func() bool { return strings.Contains(s.runs()[0].Waiting, "an incident") })
	s.must("pipeline", "resume")
	eventually(t, "the run ends", func() bool { return s.runs()[0].State == "passed" })
	s.serves("r1", "one")
	if list := printed[[]api.RunStatus](s, "pipeline", "list"); len(list) != 1 || list[0].State != "passed" {
		t.Errorf("pipeline list tells %+v", list)
	}
	statements := printed[[]api.Attestation](s, "release", "attestations", "r1", "-a", "bar")
	if len(statements) != 3 || statements[0].Invalid != "" || statements[2].By == "" || statements[2].Why != "seen" {
		t.Errorf("statements %+v", statements)
	}
	private(t, s)

	bad, signal := staged(t, "two")
	write(t, filepath.Join(signal, "go"), "3", 0o644)
	r = s.cli("pipeline", "run", "-f", bad)
	wants(t, r, 1, "exit code 3", "smoke of r2 in beta")
	wants(t, s.cli("deploy", "-f", bad), 4, "production refuses r2", "beta/tests")
	s.serves("r1", "one")
	s.must("deploy", "-f", bad, "--hotfix", "r1 is on fire")
	s.serves("r2", "two")
	if out := s.must("events"); !strings.Contains(out, "without its gates: r1 is on fire") {
		t.Errorf("the hotfix is not on record:\n%s", out)
	}
}
