package keeper_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/internal/reserve"
	"semper/keeper/datadir"
	"semper/keeper/journal"
)

func TestPartsRunUnderTheirNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	parts := w.parts()
	for id, kind := range map[string]string{"store": "store", "control-1": "control", "edge-1": "edge", "queue-1": "queue"} {
		p, ok := parts[id]
		if !ok || p.Kind != kind {
			t.Fatalf("parts %v have no %s", parts, id)
		}
		b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/cmdline")
		if err != nil || !strings.HasPrefix(string(b), "semper\x00"+kind+"\x00--data\x00"+string(w.dir)) {
			t.Errorf("%s runs as %q, %v", id, b, err)
		}
	}
	if got, err := w.get(); err != nil || !strings.HasPrefix(got, "edge-1 ") {
		t.Errorf("edge answered %q, %v", got, err)
	}
	info, err := w.client.Info(w.ctx())
	if err != nil || info.KeeperPID != w.cmd.Process.Pid || len(info.HTTP) != 1 || info.HTTP[0] != w.http {
		t.Errorf("info %+v, %v", info, err)
	}
	tree, err := w.client.Tree(w.ctx())
	if err != nil || tree.Kind != "node" || len(tree.Children) != 1 {
		t.Fatalf("tree %+v, %v", tree, err)
	}
	if tree = tree.Children[0]; len(tree.Children) != 2 || len(tree.Children[0].Children) != 4 {
		t.Errorf("tree %+v, %v", tree, err)
	}
}

func TestKilledKeeperIsSucceededWithoutDoubles(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	before := w.parts()
	st := w.start(w.spec(1, idle))
	count := len(w.marked())
	stop := w.load()
	for range 3 {
		w.end(syscall.SIGKILL)
		if !alive(st.PID) {
			t.Fatal("the instance died with the keeper")
		}
		w.run()
	}
	if n, errs := stop(); len(errs) > 0 || n == 0 {
		t.Errorf("%d requests, errors %v", n, errs)
	}
	after := w.parts()
	for id, p := range before {
		if id != "keeper" && after[id].PID != p.PID {
			t.Errorf("%s was pid %d and is %d", id, p.PID, after[id].PID)
		}
	}
	now := w.start(w.spec(1, idle)) // the same again: nothing new is started
	if now.PID != st.PID || now.Incarnation != 1 || now.Restarts != 0 || now.StartTicks != st.StartTicks {
		t.Errorf("instance was %+v and is %+v", st, now)
	}
	// The script's own sleep comes and goes.
	if got := len(w.marked()); got < count-1 || got > count+1 {
		t.Errorf("%d processes became %d", count, got)
	}
	reports := w.crashes()
	if len(reports) != 3 || reports[0].What != "semper keeper" {
		t.Errorf("crash reports %+v", reports)
	}
}

// Only living parts hold the sockets between two keepers, and the edge does not live either for a while:
// connections wait.
func TestSocketsOutliveKeeperAndEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.parts()
	w.end(syscall.SIGKILL)
	w.run()
	stop := make(chan struct{})
	dialled := make(chan error)
	go func() { // connections alone: the queue is there at every moment, whoever serves it
		defer close(dialled)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("tcp", w.http)
			if err != nil {
				dialled <- err
				return
			}
			c.Close()
		}
	}()
	for range 5 {
		p := w.parts()["edge-1"]
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got, err := w.get(); err != nil || got == "edge-1 "+strconv.Itoa(p.PID) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	close(stop)
	if err := <-dialled; err != nil {
		t.Error(err)
	}
}

// TestEdgesFollowTheirArguments: a keeper that is started with other settings for edges replaces the edge it finds, without
// losing a request, and one that is started with the same leaves it.
func TestEdgesFollowTheirArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run("--edge", "--greeting hello")
	says := func(want string) {
		t.Helper()
		w.eventually("edges say "+want, func() bool {
			got, err := w.get()
			return err == nil && strings.HasPrefix(got, want)
		})
	}
	says("edge-1hello ")
	pid := w.parts()["edge-1"].PID
	w.end(syscall.SIGKILL)
	w.run("--edge", "--greeting hello")
	says("edge-1hello " + strconv.Itoa(pid))
	w.end(syscall.SIGKILL)
	stop := w.load()
	w.run("--edge", "--greeting bye")
	says("edge-2bye ")
	if n, errs := stop(); len(errs) > 0 || n == 0 {
		t.Errorf("%d requests, errors %v", n, errs)
	}
}

func TestEndsUnseenAreReportedAndMadeGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	edge := w.parts()["edge-1"]
	st := w.start(w.spec(1, "echo last words; "+idle))
	w.end(syscall.SIGKILL)
	for _, pid := range []int{st.PID, edge.PID} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	awaitGone([]int{st.PID, edge.PID})
	w.run()
	now := w.await(st.Spec.ID, "a new incarnation", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.Incarnation == 2 })
	if now.LastEnd == nil || !unseen(now.LastEnd.Reason) || now.Restarts != 1 || now.Address != st.Address {
		t.Errorf("status %+v, last end %+v", now, now.LastEnd)
	}
	what := map[string]semper.CrashReport{}
	w.eventually("the reports", func() bool {
		for _, r := range w.crashes() {
			what[r.What] = r
		}
		return len(what) == 3 // of the keeper, too
	})
	if r := what[string(st.Spec.ID)]; !unseen(r.Reason) || r.PID != st.PID || strings.Join(r.Tail, "") != "last words" {
		t.Errorf("report of the instance: %+v", r)
	}
	if r := what["semper edge"]; r.PID != edge.PID {
		t.Errorf("report of the edge: %+v", r)
	}
	if got, err := w.get(); err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// unseen tells whether r is what a keeper can know of a SIGKILL it did not see: nothing, or all where the
// kernel still had the status.
func unseen(r semper.Reason) bool {
	return r.Kind == semper.ReasonUnknown || r.Kind == semper.ReasonSignal && r.Signal == "SIGKILL"
}

// A keeper can die between starting a process and writing that down.
func TestProcessMissingInTheJournalIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	st := w.start(w.spec(1, idle))
	w.parts()
	w.end(syscall.SIGKILL)
	path := w.dir.Journal() + "/" + datadir.FileName(string(st.Spec.ID)) + ".json"
	var r journal.Record
	if err := journal.ReadJSON(path, &r); err != nil {
		t.Fatal(err)
	}
	mark := r.Identity.Marker
	r.Incarnation, r.Identity.PID, r.Identity.StartTicks, r.Identity.Marker = 0, 0, 0, ""
	if err := journal.WriteJSON(path, r, false); err != nil {
		t.Fatal(err)
	}
	stray := exec.Command("sleep", "1000")
	stray.Env = []string{"SEMPER_INCARNATION=" + mark[:strings.Index(mark, ".")] + ".nobody.1"}
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	w.run()
	now := w.await(st.Spec.ID, "the process", func(s semper.InstanceStatus) bool { return s.PID != 0 })
	if now.PID != st.PID || now.Incarnation != 1 {
		t.Errorf("was %+v, is %+v", st, now)
	}
	if err := stray.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the stray ended with %v", err)
	}
}

func TestSignalLeavesEverythingRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	st := w.start(w.spec(1, idle))
	edge := w.parts()["edge-1"]
	w.end(syscall.SIGTERM)
	if !alive(st.PID) || !alive(edge.PID) {
		t.Fatal("something was stopped")
	}
	if got, err := w.get(); err != nil {
		t.Errorf("%q, %v", got, err)
	}
	w.run()
	if p := w.parts()["edge-1"]; p.PID != edge.PID {
		t.Errorf("edge was %d and is %d", edge.PID, p.PID)
	}
	if reports := w.crashes(); len(reports) != 0 {
		t.Errorf("reports %+v", reports)
	}
}

func TestShutdownEndsAllAndTheNextKeeperStartsItAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.parts()
	first := w.start(w.spec(1, idle))
	stubborn := w.spec(2, "trap '' TERM; while :; do sleep 0.05; done")
	stubborn.Spec.Stop.Timeout = semper.Duration(200 * time.Millisecond)
	second := w.start(stubborn)
	if err := w.client.Stop(w.ctx(), second.Spec.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Shutdown(w.ctx(), true); err != nil {
		t.Fatal(err)
	}
	_ = w.cmd.Cancel()
	if pids := w.marked(); len(pids) != 0 {
		t.Fatalf("%v still run", pids)
	}
	if _, err := w.client.Info(w.ctx()); semper.CodeOf(err) != semper.Unavailable {
		t.Errorf("info: %v", err)
	}
	w.run()
	now := w.await(first.Spec.ID, "it runs again", func(s semper.InstanceStatus) bool { return s.PID != 0 })
	if now.PID == first.PID || now.Address != first.Address {
		t.Errorf("was %+v, is %+v", first, now)
	}
	gone := w.await(second.Spec.ID, "stopped stays stopped", func(s semper.InstanceStatus) bool { return s.State == semper.Ended })
	if gone.PID != 0 {
		t.Errorf("%+v", gone)
	}
}

func TestForegroundSignalEndsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run("--all", "yes")
	w.parts()
	w.start(w.spec(1, idle))
	w.end(syscall.SIGTERM)
	if pids := w.marked(); len(pids) != 0 {
		t.Fatalf("%v still run", pids)
	}
}

// A keeper started with another address serves there, and the old one is let go without losing a request.
func TestAnotherAddressReplacesTheEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.parts()
	w.end(syscall.SIGTERM)
	old := w.http
	w.http = reserve.For(t).Address()
	w.run()
	if _, err := w.get(); err != nil {
		t.Error(err)
	}
	w.eventually("nobody listens at the old address", func() bool {
		c, err := net.Dial("tcp", old)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	w.eventually("one edge is left", func() bool {
		p := w.parts()
		return p["edge-2"].Ready && p["edge-1"].PID == 0 && len(p) == 5
	})
}

// An edge that holds the sockets but cannot give them is not waited for without end.
func TestHungEdgeIsReplaced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a deadline of ten seconds")
	}
	w := newWorld(t).run()
	edge := w.parts()["edge-1"]
	w.end(syscall.SIGKILL)
	if err := syscall.Kill(edge.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.run()
	if p := w.parts()["edge-1"]; p.PID == edge.PID {
		t.Errorf("%+v", p)
	}
	if _, err := w.get(); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	ends := func(t *testing.T, w *world, want ...string) {
		t.Helper()
		w.spawn()
		if err := w.cmd.Wait(); err == nil || errors.Is(err, exec.ErrWaitDelay) {
			t.Fatalf("the keeper ended with %v", err)
		}
		for _, s := range want {
			if !strings.Contains(w.out.String(), s) {
				t.Errorf("%q is not in %s", s, w.out)
			}
		}
	}
	t.Run("port taken", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		l, err := net.Listen("tcp", w.http)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(w.http)
		ends(t, w, "port "+port+" is taken by", "pid "+strconv.Itoa(os.Getpid()))
		if pids := w.marked(); len(pids) != 0 {
			t.Errorf("%v were started all the same", pids)
		}
	})
	t.Run("foreign directory", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if err := os.WriteFile(string(w.dir)+"/thesis.tex", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		ends(t, w, "not empty and not semper's", "thesis.tex")
		if entries, err := os.ReadDir(string(w.dir)); err != nil || len(entries) != 1 {
			t.Errorf("it was touched: %v, %v", entries, err)
		}
	})
	t.Run("newer format", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if err := os.WriteFile(w.dir.Marker(), []byte(`{"format":2,"id":"x","version":"9.0.0"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		ends(t, w, "has format 2 (made for semper 9.0.0)")
	})
	t.Run("second keeper", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t).run()
		other := &world{t: t, dir: w.dir, http: reserve.For(t).Address()}
		ends(t, other, "another semper (pid "+strconv.Itoa(w.cmd.Process.Pid)+") runs on "+string(w.dir))
		w.parts()
	})
}
