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

func TestFollow(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ticks, err := StartTicks(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Follow(cmd.Process.Pid, ticks+1); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("another start: %v", err)
	}
	w, err := Follow(cmd.Process.Pid, ticks)
	if err != nil {
		t.Fatal(err)
	}
	given, err := Follow(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	given.Close()
	if given.Ended() {
		t.Error("the end of a watch was taken for that of the process")
	}
	ended := make(chan bool)
	go func() { ended <- w.Ended() }()
	cmd.Process.Kill() //nolint:errcheck // waited for
	if !<-ended {
		t.Error("the process ended, and nobody was told")
	}
	w.Close()
	cmd.Wait() //nolint:errcheck // killed
	if _, err := Follow(cmd.Process.Pid, 0); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process that is gone: %v", err)
	}
}
