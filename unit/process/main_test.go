package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// roleKey makes the test binary play a role instead of running tests.
const roleKey = "PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleKey); role != "" {
		if err := play(strings.Fields(role)); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func play(role []string) error {
	switch role[0] {
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		<-time.After(time.Hour)
	case "hog":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			all = append(all, b)
			runtime.KeepAlive(all)
		}
	case "flood":
		return flood(role[1])
	case "leave":
		return leave(role[1])
	case "stay":
		fmt.Println(os.Getpid())
		<-time.After(time.Hour)
	case "start":
		return startAndDie(role[1])
	case "listen":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		<-time.After(time.Hour)
	case "reap":
		return reapOrphans(role[1])
	case "leak":
		return leakNothing(role[1])
	}
	return nil
}

// block is how many lines with the same number flood writes.
const block = 4096

// flood writes numbered lines of 64 bytes until it has written that many bytes, as fast as can be: past
// the race detector, which would look at every byte.
func flood(much string) error {
	n, err := strconv.Atoi(much)
	if err != nil {
		return err
	}
	for i := range n / 64 / block {
		lines := bytes.Repeat(fmt.Appendf(nil, "%063d\n", i), 64)
		for range block / 64 {
			_, _, e := unix.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&lines[0])), uintptr(len(lines)))
			if e != 0 {
				return e
			}
		}
	}
	return nil
}

// leave starts a process in a session of its own, waits until it runs and exits with code 7.
func leave(how string) error {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleKey+"=stay")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if how == "unmarked" {
		c.Env = []string{roleKey + "=stay"}
	}
	if err := c.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Print(line)
	os.Exit(7)
	return nil
}

// startAndDie starts sh -c script through this package and dies without a word to it.
func startAndDie(dir string) error {
	p, err := Start(Options{
		Argv:   []string{"sh", "-c", "echo up; read x < " + filepath.Join(dir, "pipe") + "; exit 9"},
		Env:    os.Environ(),
		Dir:    dir,
		Output: filepath.Join(dir, "log"),
		Cgroup: "adopt-" + strconv.Itoa(os.Getpid()),
		Marker: dir,
	})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.Identity()); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// reapOrphans makes orphans beside a known child and checks that the first are reaped and the
// status of the second is not.
func reapOrphans(dir string) error {
	r, err := NewReaper()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	for i := range 20 {
		p, err := Start(Options{
			Argv:   []string{"sh", "-c", "(true & true & true &) ; exit 5"},
			Env:    os.Environ(),
			Dir:    dir,
			Marker: fmt.Sprint(dir, i),
			Reaper: r,
		})
		if err != nil {
			return err
		}
		<-p.Done()
		if got := p.Reason().String(); got != "exit code 5" {
			return fmt.Errorf("reason %s", got)
		}
	}
	cancel()
	<-done
	r.reap()
	if left := children(); len(left) != 0 {
		return fmt.Errorf("children left: %v", left)
	}
	return nil
}

// leakNothing starts and ends processes and compares what the program holds before and after.
func leakNothing(dir string) error {
	var before []string
	for i := range 12 {
		p, err := Start(Options{
			Argv: []string{"sh", "-c", "exit 0"}, Env: os.Environ(), Dir: dir, NoNewPrivs: true,
			Output: filepath.Join(dir, "log"), Cgroup: fmt.Sprint("leak-", os.Getpid()), Marker: fmt.Sprint(dir, i),
		})
		if err != nil {
			return err
		}
		<-p.Done()
		if _, err := Start(Options{Argv: []string{"./log"}, Dir: dir, NoNewPrivs: true}); err == nil {
			return fmt.Errorf("a log was executed")
		}
		for _, d := range p.group.Dirs() {
			if _, err := os.Stat(d); err == nil {
				return fmt.Errorf("%s is left", d)
			}
		}
		if i == 1 {
			before = openFiles()
		}
	}
	if after := openFiles(); len(after) != len(before) {
		return fmt.Errorf("open files before %q, after %q", before, after)
	}
	if left := children(); len(left) != 0 {
		return fmt.Errorf("children left: %v", left)
	}
	return nil
}

func openFiles() []string {
	entries, _ := os.ReadDir("/proc/self/fd")
	var all []string
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		all = append(all, to)
	}
	return all
}
