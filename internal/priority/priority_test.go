package priority_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"semper/internal/priority"
)

// TestLower runs in a process of its own, because a nice value cannot be taken back.
func TestLower(t *testing.T) {
	t.Parallel()
	if os.Getenv("PRIORITY_CHILD") != "" {
		lowered(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLower$")
	cmd.Env = append(os.Environ(), "PRIORITY_CHILD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func lowered(t *testing.T) {
	t.Helper()
	for range 2 { // the second time there is nothing to do
		if err := priority.Lower(priority.Background); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("nice").Output()
	if err != nil || strings.TrimSpace(string(out)) != "10" {
		t.Fatalf("a child of it has nice %q, want 10 (%v)", out, err)
	}
	now, err := unix.SchedGetAttr(0, 0)
	if err != nil || now.Policy != unix.SCHED_NORMAL || now.Nice != priority.Background {
		t.Errorf("a thread of it has policy %d and nice %d, want %d and %d (%v)", now.Policy, now.Nice, unix.SCHED_NORMAL, priority.Background, err)
	}
	// Linux tells the length of a turn only where it can be set, from 6.12 on; a clamped or ignored one is not ours to refuse.
	if now.Runtime != 0 && now.Runtime > 1_000_000 {
		t.Errorf("its turns are %d ns long, as long as everybody's", now.Runtime)
	}
}
