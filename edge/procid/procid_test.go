package procid

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestStartTicks(t *testing.T) {
	t.Parallel()
	own, err := StartTicks(os.Getpid())
	if err != nil || own == 0 {
		t.Fatal(own, err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ticks, err := StartTicks(cmd.Process.Pid)
	if err != nil || ticks < own {
		t.Errorf("%d, this process %d, %v", ticks, own, err)
	}
	cmd.Process.Kill() //nolint:errcheck // waited for
	cmd.Wait()         //nolint:errcheck // killed
	if _, err := StartTicks(cmd.Process.Pid); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
