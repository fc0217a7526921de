package proc

import (
	"testing"
	"time"
)

// What a process uses is counted, whatever the samples say.
func TestOwnCPU(t *testing.T) {
	before, err := OwnCPU()
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Now(); time.Since(at) < 50*time.Millisecond; { //nolint:revive // it burns time
	}
	after, err := OwnCPU()
	if err != nil {
		t.Fatal(err)
	}
	if d := after.Minus(before).Total(); d <= 0 {
		t.Errorf("it ran for %v", d)
	}
}
