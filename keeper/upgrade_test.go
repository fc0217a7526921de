package keeper_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"semper/api"
)

func (w *world) upgrade(binary string) []api.UpgradeStep {
	w.t.Helper()
	ch, err := w.client.Upgrade(w.ctx(), binary)
	if err != nil {
		w.t.Fatal(err)
	}
	var steps []api.UpgradeStep
	for s := range ch {
		steps = append(steps, s)
	}
	return steps
}

func TestUpgradeInPlaceKeepsPidChildrenAndConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	before := w.parts()
	st := w.start(w.spec(1, idle))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stop := w.load()
	steps := w.upgrade(self)
	if n, errs := stop(); len(errs) > 0 || n == 0 {
		t.Errorf("%d requests, errors %v", n, errs)
	}
	if last := steps[len(steps)-1]; last.Part != "semper" || last.Status != "done" {
		t.Fatalf("steps %+v", steps)
	}
	var order []string
	for _, s := range steps {
		order = append(order, s.Part+" "+s.Status)
	}
	want := []string{
		"keeper checking", "keeper replacing", "keeper replaced", "store stopping", "store starting", "store ready",
		"edge starting", "edge ready", "edge draining", "edge ended", "queue starting", "queue ready", "queue draining", "queue ended",
		"control starting", "control ready", "control draining", "semper done",
	}
	if !slices.Equal(order, want) {
		t.Errorf("steps %q", order)
	}
	w.eventually("the old control has ended", func() bool { return !alive(before["control-1"].PID) })
	after := w.parts()
	if after["keeper"].PID != before["keeper"].PID || after["keeper"].PID != w.cmd.Process.Pid {
		t.Errorf("keeper was %d, is %d", before["keeper"].PID, after["keeper"].PID)
	}
	if !strings.HasPrefix(after["keeper"].Binary, w.dir.Bin()) {
		t.Errorf("keeper runs %s", after["keeper"].Binary)
	}
	if after["edge-2"].PID == 0 || after["control-2"].PID == 0 || after["edge-1"].PID != 0 || after["store"].PID == before["store"].PID {
		t.Errorf("parts %+v", after)
	}
	if now := w.start(w.spec(1, idle)); now.PID != st.PID || now.Restarts != 0 || now.Incarnation != 1 {
		t.Errorf("instance was %+v, is %+v", st, now)
	}
	if reports := w.crashes(); len(reports) != 0 {
		t.Errorf("reports %+v", reports)
	}
	// The children are still the keeper's own: it learns how they end.
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.eventually("the end is known exactly", func() bool {
		r := w.crashes()
		return len(r) == 1 && r[0].Reason.Signal == "SIGKILL"
	})
	// And it goes on being what it was: again, then killed.
	if steps := w.upgrade(""); steps[len(steps)-1].Status != "done" {
		t.Errorf("steps %+v", steps)
	}
	w.end(syscall.SIGKILL)
	w.run()
	if got, err := w.get(); err != nil || !strings.HasPrefix(got, "edge-3 ") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUpgradeToWhatDoesNotRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	before := w.parts()
	broken := filepath.Join(t.TempDir(), "semper")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho cannot do that; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	steps := w.upgrade(broken)
	last := steps[len(steps)-1]
	if last.Part != "semper" || last.Status != "failed" || !strings.Contains(last.Error, "cannot do that") {
		t.Errorf("steps %+v", steps)
	}
	// It says a version, but cannot be executed in place.
	gone := filepath.Join(t.TempDir(), "semper")
	script := "#!" + interpreterThatRemovesItself(t) + "\n"
	if err := os.WriteFile(gone, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	steps = w.upgrade(gone)
	last = steps[len(steps)-1]
	if last.Status != "failed" || !strings.Contains(last.Error, "could not replace itself") {
		t.Errorf("steps %+v", steps)
	}
	after := w.parts()
	for id, p := range before {
		if after[id].PID != p.PID || after[id].Restarts != p.Restarts {
			t.Errorf("%s was %+v, is %+v", id, p, after[id])
		}
	}
	// Nothing was let go of: it still hears, starts and hands on.
	if err := syscall.Kill(before["edge-1"].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.eventually("a new edge is ready", func() bool {
		p := w.parts()["edge-1"]
		return p.PID != before["edge-1"].PID
	})
	if got, err := w.get(); err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// interpreterThatRemovesItself is the path of a program that can be executed once.
func interpreterThatRemovesItself(t *testing.T) string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "once")
	// A script cannot be the interpreter of a script everywhere, a copy of the shell can: it reads the
	// script, whose first line names it, and finds nothing to do.
	b, err := os.ReadFile(sh)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path + "\nrm " + path
}

func TestPartThatDoesNotGetReadyIsNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = []string{"SEMPER_TEST_UNREADY=control-2"}
	w.run("--ready-within", "2s")
	before := w.parts()
	steps := w.upgrade("")
	last := steps[len(steps)-1]
	if last.Status != "failed" || !strings.Contains(last.Error, "control-1 stays: control-2 was not ready") {
		t.Errorf("steps %+v", steps)
	}
	after := w.parts()
	if after["control-1"].PID != before["control-1"].PID || after["control-2"].PID != 0 || after["edge-2"].PID == 0 {
		t.Errorf("parts %+v", after)
	}
}

// A keeper that dies while an edge drains must let it finish, whoever sees to it next.
func TestDrainingEdgeOutlivesTheKeeper(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	before := w.parts()["edge-1"]
	conn, err := net.Dial("tcp", w.http) // accepted and not closed: the edge has something to finish
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HT"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.get(); err != nil { // the one before it has been accepted
		t.Fatal(err)
	}
	ch, err := w.client.Upgrade(w.ctx(), "")
	if err != nil {
		t.Fatal(err)
	}
	for s := range ch {
		if s.Part == "edge" && s.Status == "draining" {
			break
		}
	}
	w.end(syscall.SIGKILL)
	w.run()
	if !alive(before.PID) {
		t.Fatal("the draining edge was not left to finish")
	}
	if _, err := io.WriteString(conn, "TP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "edge-1 "+strconv.Itoa(before.PID) {
		t.Errorf("%q, %v", b, err)
	}
	w.eventually("the upgrade is finished by the next keeper", func() bool {
		steps, done, err := w.client.UpgradeSteps(w.ctx())
		return err == nil && done && steps[len(steps)-1].Status == "done"
	})
	w.eventually("one of each is left", func() bool {
		p := w.parts()
		return len(p) == 5 && p["edge-2"].PID != 0 && p["control-2"].PID != 0
	})
}
