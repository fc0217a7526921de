package mark_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"semper/keeper/mark"
)

func TestMarksReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z0-9-]{1,8}`)
		m := mark.Mark{Dir: word.Draw(t, "dir"), Token: word.Draw(t, "token"), Incarnation: rapid.Int64().Draw(t, "n")}
		if got := mark.Parse(m.String()); got != m {
			t.Fatalf("%+v became %+v", m, got)
		}
	})
	for _, s := range []string{"", "a", "a.b", "a.b.c", "a.b.1.2"} {
		if got := mark.Parse(s); got != (mark.Mark{}) {
			t.Errorf("%q is %+v", s, got)
		}
	}
}

func TestMarkedProcessesAreFoundAndKilled(t *testing.T) {
	t.Parallel()
	dir := mark.NewToken()
	m := mark.Mark{Dir: dir, Token: "t", Incarnation: 3}
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{mark.Env + "=" + m.String()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := mark.Processes(dir)
	if len(found) != 1 || found[0].PID != cmd.Process.Pid || found[0].PGID != found[0].PID || found[0].Mark != m {
		t.Fatalf("%+v", found)
	}
	if got, _ := mark.Sender(cmd.Process.Pid, dir); got != m {
		t.Errorf("%+v", got)
	}
	other := found[0]
	other.Start++
	other.Kill() // the same number, another process
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatal("a stranger was killed")
	}
	found[0].Kill()
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	if found := mark.Processes(dir); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	if got, line := mark.Sender(os.Getpid(), dir); got.Token != "" || len(line) == 0 || line[0] != os.Getpid() {
		t.Errorf("%+v, %v", got, line)
	}
}

func TestStatOfOneself(t *testing.T) {
	t.Parallel()
	s, err := mark.ReadStat(os.Getpid())
	if err != nil || s.PPID != os.Getppid() || s.PGID != syscall.Getpgrp() || mark.StartTime(s.Start).IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	if boot, err := mark.BootID(); err != nil || len(boot) != 36 {
		t.Errorf("%q, %v", boot, err)
	}
}
