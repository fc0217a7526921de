package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestYields starts a program that yields, with a child that was born while it did, in a group and a session of its own.
func TestYields(t *testing.T) {
	t.Parallel()
	if !mayYield() {
		t.Skip("what yields here could never stop to")
	}
	for _, grouped := range []bool{false, true} {
		t.Run(fmt.Sprintf("cgroup %t", grouped), func(t *testing.T) {
			t.Parallel()
			// The pipe tells the child only after Start has returned: it is born into what Start has set.
			o := options(t, "sh", "-c", `read -r _ <&3; nice -n 3 setsid sh -c 'echo $$; exec sleep 1000' & exec sleep 1000`)
			if grouped {
				o.Cgroup, o.Limits.CPU = o.Marker, 1
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			r.Fd() // which makes it block: the child would take "not yet" for the end, and fork before it yields
			o.ExtraFiles, o.Yields = []*os.File{r}, true
			p := start(t, o)
			if _, err := w.WriteString("go\n"); err != nil {
				t.Fatal(err)
			}
			child := 0
			for deadline := time.Now().Add(30 * time.Second); child == 0; {
				if time.Now().After(deadline) {
					t.Fatal("no child within 30s")
				}
				text, _ := os.ReadFile(o.Output)
				_, _ = fmt.Sscan(string(text), &child)
			}
			wantPolicies(t, "while it yields", unix.SCHED_IDLE, p.PID(), child)
			wantIdleGroup(t, p, "1")
			p.Compete()
			wantPolicies(t, "after that", unix.SCHED_NORMAL, p.PID(), child)
			wantIdleGroup(t, p, "0")
			if a, err := unix.SchedGetAttr(child, 0); err != nil || a.Nice != 3 {
				t.Errorf("the nice value it chose itself has become %v (%v), want 3", a, err)
			}
			p.Kill()
			await(t, p.Done(), "the end")
			p.Compete() // of what is gone: nothing
		})
	}
}

func wantPolicies(t *testing.T, when string, want uint32, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if a, err := unix.SchedGetAttr(pid, 0); err != nil || a.Policy != want {
			t.Errorf("%s process %d has policy %+v (%v), want %d", when, pid, a, err, want)
		}
	}
}

// wantIdleGroup looks where the process has a cgroup for the processors.
func wantIdleGroup(t *testing.T, p *Process, want string) {
	t.Helper()
	for _, controller := range []string{"cpu", "unified"} {
		dir := p.group.Dir(controller)
		if dir == "" {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, "cpu.idle")); err == nil && strings.TrimSpace(string(got)) != want {
			t.Errorf("cpu.idle of its %s cgroup is %q, want %q", controller, got, want)
		}
	}
}
