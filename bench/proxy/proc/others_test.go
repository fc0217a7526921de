package proc

import (
	"os"
	"testing"
	"time"
)

func TestOthers(t *testing.T) {
	before, err := OthersNow()
	if err != nil {
		t.Fatal(err)
	}
	if _, own := before[os.Getpid()]; own {
		t.Error("this process is among the others")
	}
	if _, parent := before[os.Getppid()]; !parent {
		t.Error("whoever started this process is not among the others")
	}
	// One that works, one that has ended, and one that is new with the number of another.
	now := Others{1: 5 * time.Second, 2: time.Second, 3: time.Second}
	if got := now.Since(Others{1: 3 * time.Second, 3: 2 * time.Second, 4: time.Second}); got != 3*time.Second {
		t.Errorf("%v, and not 3s", got)
	}
}
