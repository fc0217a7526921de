package trim

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhenItIsTime(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	type step struct {
		cpu       time.Duration // used since the step before
		allocated uint64        // the same
		live      uint64
		took      time.Duration // trimmed after it, if not 0
		want      bool
	}
	for name, steps := range map[string][]step{
		"two quiet looks":      {{0, 9 * mb, mb, 0, false}, {0, 0, mb, 0, true}},
		"never when busy":      {{every / 10, 9 * mb, mb, 0, false}, {every / 10, 9 * mb, mb, 0, false}, {every / 10, 9 * mb, mb, 0, false}},
		"quiet again":          {{0, 9 * mb, mb, 0, false}, {every, 0, mb, 0, false}, {0, 0, mb, 0, false}, {0, 0, mb, 0, true}},
		"tickers are not work": {{every / 100, 9 * mb, mb, 0, false}, {every / 100, 0, mb, 0, true}},
		"too little":           {{0, least - 1, mb, 0, false}, {0, 0, mb, 0, false}, {0, 1, mb, 0, true}},
		"a small part":         {{0, 24 * mb, 100 * mb, 0, false}, {0, 0, 100 * mb, 0, false}, {0, mb, 100 * mb, 0, true}},
		"once for each burst":  {{0, 9 * mb, mb, 0, false}, {0, 0, mb, 1, true}, {0, 0, mb, 0, false}, {0, 0, mb, 0, false}, {0, least, mb, 0, true}},
		"rest after a long one": {
			{0, 9 * mb, mb, 0, false}, {0, 0, mb, every / 25, true},
			{0, 9 * mb, mb, 0, false}, {0, 0, mb, 0, false}, {0, 0, mb, 0, false}, {0, 0, mb, 0, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			tr := trimmer{last: reading{at: start}}
			var r reading
			for i, s := range steps {
				r = reading{start.Add(time.Duration(i+1) * every), r.cpu + s.cpu, r.allocated + s.allocated, s.live}
				if got := tr.due(r); got != s.want {
					t.Fatalf("look %d: %t, want %t", i, got, s.want)
				}
				if s.took > 0 {
					tr.done(r, s.took)
				}
			}
		})
	}
}

func TestLooksAreFewWhileNothingPilesUp(t *testing.T) {
	t.Parallel()
	start := time.Now()
	tr := trimmer{last: reading{at: start}}
	for i, s := range []struct {
		allocated uint64 // in all
		live      uint64
		trim      bool // after the look
		want      time.Duration
	}{
		{least - 1, 0, false, seldom},
		{least, 0, false, every},
		{least, 100 * least, false, seldom}, // a small part of it
		{2 * least, 0, true, seldom},
		{3*least - 1, 0, false, seldom},
		{3 * least, 0, false, every},
	} {
		r := reading{at: start.Add(time.Duration(i+1) * every), allocated: s.allocated, live: s.live}
		if tr.due(r); s.trim {
			tr.done(r, 0)
		}
		if got := tr.pause(); got != s.want {
			t.Errorf("look %d: the next one after %v, want %v", i, got, s.want)
		}
	}
}

// TestMemoryIsGivenBack after a burst, without anybody asking.
func TestMemoryIsGivenBack(t *testing.T) { //nolint:paralleltest // it is about the memory of the process
	const burst = 64 << 20
	b := make([]byte, burst)
	for i := range b {
		b[i] = byte(i)
	}
	runtime.KeepAlive(b)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	trimmed := make(chan struct{}, 1)
	var watch sync.WaitGroup
	watch.Go(func() {
		Watch(ctx, func() {
			select {
			case trimmed <- struct{}{}:
			default:
			}
		})
	})
	<-trimmed
	cancel()
	watch.Wait()
	runtime.ReadMemStats(&after)
	if after.HeapReleased < before.HeapReleased+burst/2 {
		t.Errorf("of %d bytes that nobody needs the system got %d", burst, int64(after.HeapReleased-before.HeapReleased))
	}
}
