package priority_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"semper/internal/priority"
)

// TestLower runs in a process of its own, because a nice value cannot be taken back.
func TestLower(t *testing.T) {
	t.Parallel()
	if os.Getenv("PRIORITY_CHILD") != "" {
		if err := priority.Lower(priority.Background); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("nice").Output()
		if err != nil || strings.TrimSpace(string(out)) != "10" {
			t.Fatalf("a child of it has nice %q, want 10 (%v)", out, err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLower$")
	cmd.Env = append(os.Environ(), "PRIORITY_CHILD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
