package keeper_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/keeper/datadir"
	"semper/keeper/journal"
)

// TestOnceIsOnce ends keeper and process in all ways there are, at all points in time: what runs once is never run a second time, and how it
// ended is said to be unknown where nobody saw it.
func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	const n = 4
	var specs []semper.InstanceSpec
	for i := range n {
		specs = append(specs, w.task(i+1, `echo begun >> "$SEMPER_SCRATCH/begun"; `+idle, time.Hour))
	}
	pids, begun := make([]int, n), make([]string, n)
	for i, spec := range specs {
		st := w.await(spec.ID, "its process", func(s semper.InstanceStatus) bool { return s.PID != 0 })
		pids[i], begun[i] = st.PID, filepath.Join(st.Scratch, "begun")
		w.eventually("it to have begun", func() bool { return lines(begun[i]) == 1 })
	}
	w.end(syscall.SIGKILL)
	for _, pid := range pids[:3] {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it may have ended
	}
	w.edit(specs[1].ID, func(r *journal.Record) { r.Boot = "a machine before its restart" })
	w.edit(specs[2].ID, func(r *journal.Record) { r.Identity.PID, r.Identity.StartTicks = 0, 0 }) // killed between the fork and the journal
	w.run()
	for i, says := range []string{"no keeper was running", "machine was restarted", "no keeper was running"} {
		st := w.await(specs[i].ID, "its end", ended)
		told := st.LastEnd != nil && unseen(st.LastEnd.Reason) && (strings.Contains(st.LastEnd.Reason.Detail, says) || st.LastEnd.Reason.Signal == "SIGKILL")
		if st.Incarnation != 1 || !told || st.LastEnd.Decision != "none" {
			t.Errorf("%d: %+v %+v", i, st, st.LastEnd)
		}
	}
	if st := w.await(specs[3].ID, "it runs on", func(s semper.InstanceStatus) bool { return s.PID == pids[3] }); st.Incarnation != 1 {
		t.Errorf("%+v", st)
	}
	if err := w.client.Shutdown(w.ctx(), true); err != nil { // semper server stop
		t.Fatal(err)
	}
	_ = w.cmd.Cancel()
	w.run()
	if st := w.await(specs[3].ID, "its end", ended); st.LastEnd.Reason.Kind != semper.ReasonShutdown {
		t.Errorf("%+v", st.LastEnd)
	}
	for i, file := range begun {
		if got := lines(file); got != 1 {
			t.Errorf("%d began %d times", i, got)
		}
	}
}

// edit changes the record of an instance that the dead keeper left.
func (w *world) edit(id semper.InstanceID, change func(*journal.Record)) {
	w.t.Helper()
	path := filepath.Join(w.dir.Journal(), datadir.FileName(string(id))+".json")
	var r journal.Record
	if err := journal.ReadJSON(path, &r); err != nil {
		w.t.Fatal(err)
	}
	change(&r)
	if err := journal.WriteJSON(path, r, false); err != nil {
		w.t.Fatal(err)
	}
}

// lines counts those of a file; 0 where there is none.
func lines(path string) int {
	b, _ := os.ReadFile(path)
	return bytes.Count(b, []byte("\n"))
}

// TestStandardErrorApart: two files, and what a report shows of them is why it ended first of all.
func TestStandardErrorApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, "echo out; echo err >&2; echo more; exit 3")
	spec.Spec.Type, spec.Spec.Restart, spec.Apart = semper.Task, semper.Temporary, true
	w.start(spec)
	st := w.await(spec.ID, "its end", ended)
	out, err := os.ReadFile(st.LogPath)
	errs, err2 := os.ReadFile(st.LogPath + ".err")
	if err != nil || err2 != nil || string(out) != "out\nmore\n" || string(errs) != "err\n" {
		t.Errorf("%q %q %v %v", out, errs, err, err2)
	}
	if got := strings.Join(st.LastEnd.Tail, " "); got != "out more err" {
		t.Errorf("tail: %q", got)
	}
}
