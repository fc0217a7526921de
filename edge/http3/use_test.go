package http3

import (
	"testing"
	"time"
)

// TestWhoStaysIsGivenTime: a client that was told to go and does not is ended when it has been silent, the longer where it may
// not have all of its last answer yet.
func TestWhoStaysIsGivenTime(t *testing.T) {
	t.Parallel()
	const idle = time.Minute
	told := time.Now()
	answered := func(before time.Duration) func() *use {
		return func() *use {
			u := newUse(told.Add(-time.Hour))
			u.requests = 1
			u.answered(told.Add(-before))
			return u
		}
	}
	for name, test := range map[string]struct {
		use  func() *use
		over map[time.Duration]bool // at which look that sees no packet, from when it was told on
	}{
		"never asked": {
			func() *use { return newUse(told.Add(-time.Second)) },
			map[time.Duration]bool{lookEvery: false, lookEvery + 1: true},
		},
		"under way": {
			func() *use { u := newUse(told.Add(-time.Second)); u.requests = 1; return u },
			map[time.Duration]bool{lookEvery + 1: false, time.Hour: false},
		},
		"answered just before": {answered(time.Millisecond), map[time.Duration]bool{lookEvery + 1: false, lingers: false, lingers + 1: true}},
		"answered long before": {answered(2 * lingers), map[time.Duration]bool{lookEvery: false, lookEvery + 1: true}},
	} {
		for after, want := range test.over {
			u := test.use()
			u.told(told)
			if got := u.over(told.Add(after), true, idle); got != want {
				t.Errorf("%s: over after %v is %v", name, after, got)
			}
		}
	}
}

// TestPacketsAreNoSilence: an answer that is sent again and again keeps its connection, but not for longer than one without a
// request may be.
func TestPacketsAreNoSilence(t *testing.T) {
	t.Parallel()
	idle := 20 * lingers
	told := time.Now()
	u := newUse(told)
	u.requests = 1
	u.told(told)
	u.answered(told)
	if u.over(told.Add(lingers), false, idle) || !u.over(told.Add(idle+lookEvery+1), false, idle) {
		t.Error("who was not told has another time than the idle one")
	}
	for i := range 20 {
		now := told.Add(time.Duration(i) * lingers)
		if u.heard(now, uint64(i+1)); u.over(now, true, idle) {
			t.Fatalf("it was ended while packets came and went, at look %d", i)
		}
	}
	if last := told.Add(idle + lookEvery + 1); !u.over(last, true, idle) {
		t.Error("packets keep it for ever")
	}
}
