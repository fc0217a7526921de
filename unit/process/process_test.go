package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen; it is a verdict of broken, not a measurement.
const patience = time.Minute

func options(t *testing.T, argv ...string) Options {
	t.Helper()
	dir := t.TempDir()
	return Options{
		Name:   t.Name(),
		Argv:   argv,
		Dir:    dir,
		Env:    os.Environ(),
		Output: filepath.Join(dir, "log"),
		Marker: fmt.Sprintf("%s-%d-%s", t.Name(), os.Getpid(), filepath.Base(filepath.Dir(dir))),
	}
}

func role(t *testing.T, words ...string) Options {
	t.Helper()
	o := options(t, os.Args[0])
	o.Env = append(o.Env, roleKey+"="+strings.Join(words, " "))
	return o
}

func start(t *testing.T, o Options) *Process {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
	})
	return p
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for " + what)
	}
}

// firstLine waits for the first line of the process's output.
func firstLine(t *testing.T, o Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for l, err := range Follow(ctx, o.Output, 0) {
		if err != nil {
			t.Fatal(err)
		}
		return l.Text
	}
	t.Fatal("no output")
	return ""
}

// gone fails unless pid is neither running nor a zombie of ours.
func gone(t *testing.T, pid int) {
	t.Helper()
	if s, err := readStat(pid); err == nil && (!s.dead() || s.ppid == os.Getpid()) {
		t.Errorf("process %d is left: %+v", pid, s)
	}
}

func TestEndsHaveReasons(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]semper.Reason{
		"exit 0":           {Kind: semper.ReasonNormal},
		"exit 3":           {Kind: semper.ReasonExit, Code: 3},
		"kill -SEGV $$":    {Kind: semper.ReasonSignal, Signal: "SIGSEGV"},
		"kill -KILL $$":    {Kind: semper.ReasonSignal, Signal: "SIGKILL"},
		"kill -TERM $$":    {Kind: semper.ReasonSignal, Signal: "SIGTERM"},
		"kill -40 $$":      {Kind: semper.ReasonSignal, Signal: "SIGRTMIN+6"},
		"sleep 9 & exit 4": {Kind: semper.ReasonExit, Code: 4},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			o := options(t, "sh", "-c", "ulimit -c 0; "+script)
			o.Cgroup = o.Marker
			p := start(t, o)
			await(t, p.Done(), "the end")
			if got := p.Reason(); got != want {
				t.Errorf("reason %+v, want %+v", got, want)
			}
			gone(t, p.PID())
			if p.Peak().MemoryBytes == 0 {
				t.Error("no peak of memory")
			}
		})
	}
}

func TestProcessGetsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, "sh", "-c", `pwd; echo "$SEMPER_INCARNATION"; echo err >&2; cat; ps -o pgid= -p $$ | tr -d ' '; echo $$; echo extra >&3`)
	o.Env = append(o.Env, "SEMPER_INCARNATION=of somebody else")
	o.ExtraFiles = []*os.File{w}
	p := start(t, o)
	_ = w.Close()
	await(t, p.Done(), "the end")
	got, err := Tail(o.Output, 10, 0)
	pid := strconv.Itoa(p.PID())
	if want := []string{o.Dir, o.Marker, "err", pid, pid}; err != nil || !slices.Equal(got, want) {
		t.Errorf("output %q, want %q (%v)", got, want, err)
	}
	var extra [16]byte
	if n, err := r.Read(extra[:]); err != nil || string(extra[:n]) != "extra\n" {
		t.Errorf("descriptor 3 brought %q, %v", extra[:n], err)
	}
	_ = r.Close()
}

func TestExeKeepsArgv0(t *testing.T) {
	t.Parallel()
	o := options(t, "semper-part", "-c", "tr '\\0' ' ' < /proc/$$/cmdline")
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	o.Exe = sh
	p := start(t, o)
	await(t, p.Done(), "the end")
	if got, err := Tail(o.Output, 1, 0); err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "semper-part -c") {
		t.Errorf("command line %q, %v", got, err)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]semper.Reason{
		"echo ready; read x < pipe":                                   {Kind: semper.ReasonShutdown},
		"trap 'exit 0' TERM; echo ready; while :; do sleep .01; done": {Kind: semper.ReasonShutdown},
		"trap 'exit 3' TERM; echo ready; while :; do sleep .01; done": {Kind: semper.ReasonShutdown, Detail: "with exit code 3"},
		"trap 'kill -SEGV $$' TERM; ulimit -c 0; echo ready; while :; do sleep .01; done": {
			Kind: semper.ReasonSignal, Signal: "SIGSEGV"},
		"echo ready; kill -STOP $$": {Kind: semper.ReasonShutdown},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			o := options(t, "sh", "-c", script)
			if err := unix.Mkfifo(filepath.Join(o.Dir, "pipe"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, o)
			firstLine(t, o)
			p.Shutdown()
			await(t, p.Done(), "the end")
			if got := p.Reason(); got != want {
				t.Errorf("reason %+v, want %+v", got, want)
			}
			if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("a signal after the end: %v", err)
			}
		})
	}
}

func TestKillAfterShutdown(t *testing.T) {
	t.Parallel()
	o := role(t, "stubborn")
	p := start(t, o)
	firstLine(t, o)
	p.Shutdown()
	// The signal is pending or ignored, so the process is not ending.
	select {
	case <-p.Exited():
		t.Fatal("it did not ignore the signal")
	default:
	}
	p.Kill()
	await(t, p.Done(), "the end")
	if got := p.Reason().Kind; got != semper.ReasonKilled {
		t.Errorf("reason %s", got)
	}
}

func TestKillFor(t *testing.T) {
	t.Parallel()
	p := start(t, options(t, "sleep", "1000"))
	why := semper.Reason{Kind: semper.ReasonHealth, Detail: "3 checks"}
	p.KillFor(why)
	p.Kill()
	await(t, p.Done(), "the end")
	if got := p.Reason(); got != why {
		t.Errorf("reason %+v", got)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"marked", "unmarked"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o := role(t, "leave", how)
			if how == "unmarked" {
				o.Cgroup = o.Marker // the only thing left to find it by
			}
			p := start(t, o)
			if how == "unmarked" && len(p.group.Dirs()) == 0 {
				t.Skip("no cgroup can be made here")
			}
			await(t, p.Done(), "the end")
			left, err := strconv.Atoi(firstLine(t, o))
			if err != nil {
				t.Fatal(err)
			}
			gone(t, left)
			if got := p.Reason(); got.Kind != semper.ReasonExit || got.Code != 7 {
				t.Errorf("reason %+v", got)
			}
			for _, dir := range p.group.Dirs() {
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("cgroup %s is left: %v", dir, err)
				}
			}
		})
	}
}

func TestKillEndsTheTree(t *testing.T) {
	t.Parallel()
	o := options(t, "sh", "-c", "sleep 1000 & echo $!; wait")
	p := start(t, o)
	child, err := strconv.Atoi(firstLine(t, o))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	await(t, p.Done(), "the end")
	gone(t, child)
}

func TestInChildProcess(t *testing.T) {
	t.Parallel()
	for _, r := range []string{"reap", "leak"} {
		t.Run(r, func(t *testing.T) {
			t.Parallel()
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), roleKey+"="+r+" "+t.TempDir())
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, bytes.TrimSpace(out))
			}
		})
	}
}

// TestInhabitedGroupIsNotShared: what an earlier incarnation left running keeps its cgroup to itself.
func TestInhabitedGroupIsNotShared(t *testing.T) {
	t.Parallel()
	o := options(t, "sleep", "1000")
	o.Cgroup = o.Marker
	first := start(t, o)
	if len(first.group.Dirs()) == 0 {
		t.Skip("no cgroup can be made here")
	}
	o.Marker += "-second"
	second := start(t, o)
	if slices.ContainsFunc(first.group.Dirs(), func(d string) bool { return slices.Contains(second.group.Dirs(), d) }) {
		t.Error("two incarnations in one cgroup")
	}
	second.Kill()
	await(t, second.Done(), "the end of the second")
	select {
	case <-first.Exited():
		t.Error("the first was killed with the second")
	default:
	}
}
