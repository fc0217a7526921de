package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/task"
)

// tasks asks for all tasks of a service; empty names all.
func (s *server) tasks(service string) (list []task.Task) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.must("task", "list", "-n", "0", "--service", service, "--json")), &list); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// kill ends a part, when there is one.
func (s *server) kill(kind string) {
	s.t.Helper()
	pid := 0
	eventually(s.t, kind+" runs", func() bool { pid = s.part(kind); return pid > 1 })
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
}

// beside runs the command line in a goroutine of its own, and returns its end.
func (s *server) beside(args ...string) (end chan result, process func() *os.Process) {
	end, started := make(chan result, 1), make(chan *os.Process, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	go func() {
		defer cancel()
		end <- s.cliContext(ctx, func(p *os.Process) { started <- p }, args...)
	}()
	return end, func() *os.Process { return <-started }
}

// TestTasks: what a task prints and how it ends comes to who asked for it, whatever ends meanwhile.
func TestTasks(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", "  once: { type: task, command: \"echo out; echo err >&2; exit 7\", env: { WORD: said } }"))

	if r := s.cli("run", "--service", "once"); r.code != 7 || r.out != "out\n" || !strings.HasPrefix(r.err, "err\n") || !strings.Contains(r.err, "exit code 7") {
		t.Errorf("%+v", r)
	}
	if r := s.cli("run", "--service", "once", "--", "sh", "-c", `head -c 300000 /dev/zero | tr '\0' '\377'; printf "$WORD"`); r.code != 0 || r.out != strings.Repeat("\xff", 300000)+"said" || r.err != "" {
		t.Errorf("exit %d, %d bytes, %q", r.code, len(r.out), r.err)
	}
	if r := s.cli("run", "--timeout", "1s", "--", "sleep", "1000"); r.code != 124 || !strings.Contains(r.err, "did not end within 1s") {
		t.Errorf("%+v", r)
	}
	if r := s.cli("run", "--", "./nothing-like-that"); r.code != 125 || !strings.Contains(r.err, "nothing-like-that") {
		t.Errorf("%+v", r)
	}

	// Ctrl-C is the task's.
	end, process := s.beside("run", "--", "sh", "-c", `trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.05; done`)
	p := process()
	eventually(t, "it prints", func() bool { return s.cli("task", "logs", s.tasks("web")[0].ID).out == "begun\n" })
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if r := <-end; r.code != 130 || r.out != "begun\nbye\n" {
		t.Errorf("%+v", r)
	}

	// Killed around it: control twice, then the keeper. It goes on in its release over a deploy, and its end is told once.
	end, _ = s.beside("run", "--", "sh", "-c", `for i in 1 2 3 4 5 6 7 8 9; do echo $i; while [ ! -e "$SEMPER_SCRATCH/$i" ]; do sleep 0.05; done; done; exit 3`)
	var k task.Task
	eventually(t, "it runs", func() bool { k = s.tasks("web")[0]; return k.State == task.Running })
	pass := func(i int) {
		scratch := filepath.Join(s.dir, "instances", strings.ReplaceAll(string(k.Unit), "/", "_"), "scratch")
		write(t, filepath.Join(scratch, fmt.Sprint(i)), "", 0o644)
	}
	for i := range 9 {
		switch i {
		case 1, 3:
			s.kill("control")
		case 5:
			s.kill("store")
		case 7:
			s.must("deploy", "-f", app(t, "two", "", ""))
		}
		pass(i + 1)
	}
	if r := <-end; r.code != 3 || r.out != "1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
		t.Errorf("%+v", r)
	}
	told := 0
	for line := range strings.SplitSeq(s.must("events", "-n", "500", "-o", "jsonl"), "\n") {
		var e semper.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Kind == "task.failed" && strings.HasPrefix(e.Message, k.ID+" ") {
			told++
		}
	}
	if last := s.tasks("web")[0]; told != 1 || last.ID != k.ID || last.Release != "r1" || last.State != task.Failed {
		t.Errorf("its end is told %d times: %+v", told, last)
	}
	wants(t, s.cli("crash", "show", "last"), 0, k.ID, "exit code 3")
}

// TestCronRunsOncePerDueTime kills every part of semper again and again while a cron is due every second.
func TestCronRunsOncePerDueTime(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := open(t)
	cron := func(schedule string) string {
		return fmt.Sprintf("  tick: { type: cron, command: 'echo $SEMPER_INSTANCE >> %s/ticks', schedule: %q, overlap: queue }", dir, schedule)
	}
	s.must("deploy", "-f", app(t, "one", "", cron("@every 1s")))
	ticks := func() []string { b, _ := os.ReadFile(filepath.Join(dir, "ticks")); return strings.Fields(string(b)) }
	for _, kind := range []string{"control", "store", "control", "edge", "store"} {
		n := len(ticks())
		s.kill(kind)
		eventually(t, "it ticks on without "+kind, func() bool { return len(ticks()) > n+1 })
	}
	s.cmd.Process.Kill() //nolint:errcheck // the keeper; it may not have ended by itself
	_ = s.cmd.Wait()
	s.run()
	n := len(ticks())
	eventually(t, "it ticks on under the next keeper", func() bool { return len(ticks()) > n+1 })

	// Another schedule: what is due from now on.
	s.must("deploy", "-f", app(t, "two", "", cron("0 0 1 1 *")))
	eventually(t, "all have ended", func() bool { c := s.status().Crons; return len(c) == 1 && len(c[0].Open) == 0 && c[0].Release == "r2" })
	dues, units := map[string]string{}, map[string]int{}
	for _, k := range s.tasks("tick") {
		if other := dues[k.Due.String()]; other != "" || k.Due.IsZero() {
			t.Errorf("%s and %s are of %s", k.ID, other, k.Due)
		}
		dues[k.Due.String()] = k.ID
	}
	for _, unit := range ticks() {
		if units[unit]++; units[unit] > 1 {
			t.Errorf("%s ran %d times", unit, units[unit])
		}
	}
	wants(t, s.cli("status"), 0, "crons", "0 0 1 1 *")
	s.must("cron", "pause", "tick", "--why", "enough")
	wants(t, s.cli("cron", "list"), 0, "paused by", "enough")
	wants(t, s.cli("cron", "run", "tick"), 0)
	if n := len(ticks()); units[ticks()[n-1]] != 0 || !strings.Contains(ticks()[n-1], "r2") {
		t.Errorf("the last run: %s", ticks()[n-1])
	}
}
