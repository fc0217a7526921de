package e2e_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scaledApp is an app whose instances follow its load, down to none; requests below /jobs are done later.
func scaledApp(t *testing.T, version string) (dir, effects string) {
	t.Helper()
	dir, effects = asyncApp(t)
	name := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"    jobs: {", "    scale: { min: 0, max: 4, in_flight: 4, down: { after: 3s }, to_zero_after: 4s }\n    jobs: {",
		"path: /, grace", "path: /up, grace", "warm: 1m", "warm: 1s", "    instances: 2\n", "",
	).Replace(string(b))
	write(t, name, text, 0o644)
	write(t, filepath.Join(dir, "version.txt"), version+"\n", 0o644)
	return dir, effects
}

// instances is how many of web should run, and how many of them are ready.
func (s *server) instances() (placed, ready int) {
	st := s.status()
	for _, in := range st.Instances {
		if in.Role == "current" && in.State == "ready" {
			ready++
		}
	}
	return st.Scale["web"], ready
}

// TestInstancesFollowTheLoad goes up under a load, is deployed beside it, goes down to nothing when it ends, and is woken by a request, by
// a job, and after everything of semper's that decides was killed. No request fails.
func TestInstancesFollowTheLoad(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, _ := scaledApp(t, "one")
	s.must("deploy", "-f", dir)
	s.serves("r1", "one")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	ask := func() {
		if a := s.sent("GET", "/slow?ms=200", ""); a.status != http.StatusOK {
			t.Errorf("a request got %s", a)
		}
	}
	for range 14 {
		load.Go(func() {
			for ctx.Err() == nil {
				ask()
			}
		})
	}
	eventually(t, "as many run as 14 requests of 4 each need", func() bool { placed, ready := s.instances(); return placed == 4 && ready == 4 })
	next, effects := scaledApp(t, "two")
	s.must("deploy", "-f", next)
	if placed, _ := s.instances(); placed != 4 {
		t.Errorf("the next release begins with %d", placed)
	}
	cancel()
	load.Wait()
	asleep := func(what string) {
		t.Helper()
		eventually(t, "asleep "+what, func() bool {
			st := s.status()
			return st.Scale["web"] == 0 && len(st.Instances) == 0
		})
	}
	asleep("after the load")
	if out := s.must("status"); !strings.Contains(out, "☾ asleep  web") {
		t.Errorf("the status says\n%s", out)
	}
	for range 3 { // a balancer in front of the machine: it is well, and goes on sleeping
		if code, _ := s.get("/up"); code != http.StatusOK {
			t.Errorf("a service that sleeps is well, and its check says %d", code)
		}
	}
	if placed, _ := s.instances(); placed != 0 {
		t.Error("a health check wakes it")
	}
	begun := time.Now()
	var woken sync.WaitGroup
	for range 3 {
		woken.Go(ask)
	}
	woken.Wait()
	t.Logf("from a request to a service that sleeps to its answer: %s, of which 200ms are the app's", time.Since(begun).Round(time.Millisecond))
	asleep("again")
	for _, part := range []string{"control", "edge"} {
		if err := syscall.Kill(s.part(part), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "woken though control and the edge were killed", func() bool { return s.sent("GET", "/", "").status == http.StatusOK })
	asleep("for the third time")
	if a := s.sent("POST", "/jobs/a", "x"); a.status != http.StatusAccepted {
		t.Fatalf("a job for a service that sleeps: %s", a)
	}
	eventually(t, "the job is done", func() bool { b, err := os.ReadFile(effects); return err == nil && len(b) > 0 })
	s.must("scale", "web=0")
	if placed, _ := s.instances(); placed != 0 {
		t.Error("somebody's number does not win")
	}
	if out := s.must("scale", "web=auto"); !strings.Contains(out, "scale") {
		t.Errorf("by itself again: %s", out)
	}
	kinds := s.must("events")
	for _, want := range []string{"scale.up", "scale.down", "scale.asleep", "scale.awake", "scale.by"} {
		if !strings.Contains(kinds, want) {
			t.Errorf("no event %s", want)
		}
	}
	l := s.status().Ledger
	for release, n := range l {
		if n.EdgeErrors+n.Shed+n.Cut > 0 {
			t.Errorf("lost of %s: %+v", release, n)
		}
	}
}
