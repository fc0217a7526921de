package process

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/unit/process/internal/cgroup"

	"golang.org/x/sys/unix"
)

func TestAdoptAfterTheParentDied(t *testing.T) {
	t.Parallel()
	id, dir := orphan(t)
	p, err := Adopt(id, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p.child {
		t.Error("it is taken for a child")
	}
	if got := p.Identity(); got != id {
		t.Errorf("identity %+v, want %+v", got, id)
	}
	if age := time.Since(p.StartedAt()); age < -time.Second || age > patience {
		t.Errorf("started %v ago", age)
	}
	w, err := os.OpenFile(filepath.Join(dir, "pipe"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.WriteString("go\n")
	_ = w.Close()
	await(t, p.Done(), "the end")
	if got := p.Reason(); got.Kind != semper.ReasonExit || got.Code != 9 {
		t.Errorf("reason %+v", got)
	}
}

func TestAdoptedIsKilled(t *testing.T) {
	t.Parallel()
	id, _ := orphan(t)
	unjournaled := id
	unjournaled.Cgroup = ""
	p, err := Adopt(unjournaled, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Identity(); got != id {
		t.Errorf("identity %+v, want %+v", got, id)
	}
	p.Shutdown()
	await(t, p.Done(), "the end")
	if got := p.Reason().Kind; got != semper.ReasonShutdown {
		t.Errorf("reason %s", got)
	}
	gone(t, id.PID)
	for _, dir := range cgroup.Parse(id.Cgroup).Dirs() {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

// orphan is a process whose parent, which started it with this package, is dead.
func orphan(t *testing.T) (Identity, string) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleKey+"=start "+dir)
	out, _ := c.Output() // it kills itself
	var id Identity
	if err := json.Unmarshal(out, &id); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	t.Cleanup(func() {
		if p, err := Adopt(id, Options{}); err == nil {
			p.Kill()
			<-p.Done()
		}
	})
	return id, dir
}

func TestAdoptChild(t *testing.T) {
	t.Parallel()
	c := exec.Command("sh", "-c", "exit 6")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	st, err := readStat(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Adopt(Identity{PID: st.pid, StartTicks: st.start}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Process.Release()
	await(t, p.Done(), "the end")
	if got := p.Reason(); got.Code != 6 {
		t.Errorf("reason %+v", got)
	}
	gone(t, st.pid)
}

func TestAdoptIsNotFooledByAReusedPID(t *testing.T) {
	t.Parallel()
	p := start(t, options(t, "sleep", "1000"))
	id := p.Identity()
	id.StartTicks--
	id.Marker = "another"
	if _, err := Adopt(id, Options{}); !errors.Is(err, ErrGone) {
		t.Errorf("adopted a stranger: %v", err)
	}
	select {
	case <-p.Exited():
		t.Error("a stranger was killed")
	default:
	}
	if _, err := Adopt(Identity{PID: 0}, Options{}); !errors.Is(err, ErrGone) {
		t.Errorf("adopted nothing: %v", err)
	}
}

func TestAdoptKillsWhatTheGoneLeft(t *testing.T) {
	t.Parallel()
	o := options(t, "sleep", "1000")
	p := start(t, o)
	id := p.Identity()
	id.PID = 1 << 22 // beyond any pid
	if _, err := Adopt(id, Options{}); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	await(t, p.Done(), "the end of what carries the marker")
}
