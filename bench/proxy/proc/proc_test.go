package proc

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseStat(t *testing.T) {
	t.Parallel()
	const text = "42 (a ) b (c) S 1 42 42 0 -1 4194560 100 200 0 0 150 250 7 3 20 0 1 0 100 0 0"
	got, err := parseStat([]byte(text))
	if want := (CPU{User: 1570 * time.Millisecond, System: 2530 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v: the children that were waited for are in it", got, err, want)
	}
	for _, bad := range []string{"", "42", "42 (a) S 1 2 3", "42 (a) S 1 42 42 0 -1 4194560 100 200 0 0 x 250 7 3 20 0"} {
		if c, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, c)
		}
	}
}

func TestParseMachine(t *testing.T) {
	t.Parallel()
	got, err := parseMachine([]byte("cpu  100 1 50 9999 8888 2 3 40 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"))
	if want := (Machine{Busy: 1560 * time.Millisecond, Stolen: 400 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4", "cpu 1 2 3 4 5 6 7 x"} {
		if m, err := parseMachine([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, m)
		}
	}
}

func shell(t *testing.T, script string) *Process {
	t.Helper()
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("no taskset here: apt-get install util-linux")
	}
	cores, err := allowed()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cores[0], filepath.Join(t.TempDir(), "log"), []string{"GREETING=hello"}, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestStopEndsAProcessThatWaitsForever(t *testing.T) {
	t.Parallel()
	p := shell(t, "exec sleep 1000")
	if err := p.Alive(); err != nil {
		t.Fatal(err)
	}
	if m, err := p.Memory(); err != nil || m.RSS <= 0 {
		t.Errorf("memory %+v, %v", m, err)
	}
	p.Stop()
	p.Stop()
	if err := p.Alive(); err == nil {
		t.Error("alive after Stop")
	}
	if err := syscall.Kill(p.PID, 0); err == nil {
		t.Error("the process is still there")
	}
	if _, err := p.CPU(); err == nil {
		t.Error("it has processor time, though it is gone")
	}
}

func TestReadySaysWhatTheProcessWrote(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo $GREETING, no port; exit 1")
	err := p.Ready(t.Context(), "/nowhere")
	if err == nil || !strings.Contains(err.Error(), "hello, no port") {
		t.Errorf("%v, want what it wrote", err)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	p := shell(t, "exec sleep 1000")
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	local, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	if err := p.Ready(t.Context(), tcp.Addr().String(), path); err != nil {
		t.Error(err)
	}
}

// TestCPUCountsChildren lets Stop end the child, which hears of nothing, and waits until a child of the process has used some of what it cannot stop using.
func TestCPUCountsChildren(t *testing.T) {
	t.Parallel()
	p := shell(t, "sh -c 'while :; do :; done' & wait")
	for {
		c, err := p.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if c.Total() >= 50*time.Millisecond {
			return
		}
		runtime.Gosched()
	}
}

func TestOwnCPUAndCores(t *testing.T) {
	t.Parallel()
	if c, err := OwnCPU(); err != nil || c.Total() < 0 {
		t.Errorf("%+v, %v", c, err)
	}
	all, err := allowed()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	a, b, err := Cores()
	if (err == nil) != (len(all) > 1) || err == nil && a == b {
		t.Errorf("of %v the cores %d and %d, %v", all, a, b, err)
	}
}

func TestPinInAChild(t *testing.T) {
	t.Parallel()
	all, err := allowed()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("PROC_PIN") != "" {
		if err := Pin(all[len(all)-1]); err != nil {
			t.Fatal(err)
		}
		if now, err := allowed(); err != nil || len(now) != 1 || now[0] != all[len(all)-1] {
			t.Fatalf("pinned to %v, %v", now, err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestPinInAChild$")
	cmd.Env = append(os.Environ(), "PROC_PIN=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
