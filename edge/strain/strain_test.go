package strain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClients(t *testing.T) {
	t.Parallel()
	for descriptors, want := range map[uint64]int{0: 1, 2: 1, 256: 192, 1024: 768, 20000: 15000, 1 << 62: 1 << 28 * 3} {
		if got := clients(descriptors); got != want {
			t.Errorf("%d of %d descriptors are for clients, want %d", got, descriptors, want)
		}
	}
}

func TestShedsBetweenItsBounds(t *testing.T) {
	t.Parallel()
	shedding := false
	for i, step := range []struct {
		used uint64
		want bool
	}{{0, false}, {849, false}, {850, true}, {2000, true}, {800, true}, {750, true}, {749, false}, {849, false}, {850, true}} {
		if shedding = sheds(shedding, step.used, 1000); shedding != step.want {
			t.Fatalf("step %d: %v with %d of 1000", i, shedding, step.used)
		}
	}
}

func TestCgroupLimit(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"/sys/fs/cgroup/system.slice/edge.service/memory.max":  "max\n",
		"/sys/fs/cgroup/system.slice/memory.max":               "536870912\n",
		"/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "268435456\n",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes":          "9223372036854771712\n",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	}
	for membership, want := range map[string]uint64{
		"0::/system.slice/edge.service\n":           512 << 20, // of what it is part of
		"4:memory:/docker/1\n0::/docker/1\n":        256 << 20,
		"4:memory:/elsewhere\n3:cpu:/docker/1\n":    0, // no limit is a very high one there
		"0::/\n":                                    0,
		"nothing of the kind":                       0,
		"0::/../../system.slice/edge.service/x/y\n": 512 << 20,
	} {
		if got := cgroupLimit([]byte(membership), read); got != want {
			t.Errorf("%q: %d, want %d", membership, got, want)
		}
	}
}

// TestLookSeesWhatIsHeld holds memory, and gives it back.
func TestLookSeesWhatIsHeld(t *testing.T) {
	const held = 64 << 20
	l := newLook()
	used := func() uint64 {
		runtime.GC()
		n, _ := l.read()
		return n
	}
	before := used()
	during := func() uint64 {
		block := make([]byte, held)
		defer runtime.KeepAlive(block)
		return used()
	}()
	after := used()
	if during < before+held/2 || after > during-held/2 {
		t.Errorf("%d MB before, %d with %d MB more, %d after", before>>20, during>>20, held>>20, after>>20)
	}
}

// TestPausesAreTold counts what is logged of many pauses.
func TestPausesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		counted := 0
		s := New(slog.New(slog.NewTextHandler(&said, nil)), func(error) { counted++ })
		time.Sleep(time.Millisecond)
		for range 500 { // a minute of pauses of 120 ms
			s.Paused(errors.New("too many open files"))
			time.Sleep(120 * time.Millisecond)
		}
		s.Paused(nil)
		if counted != 501 {
			t.Errorf("%d pauses were counted", counted)
		}
		if n := strings.Count(said.String(), "\n"); n < 5 || n > 8 {
			t.Errorf("%d lines of a minute:\n%s", n, said.String())
		}
	})
}

// TestWatch looks at memory that is short from the beginning, and then is not.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Strain{limit: 1000, log: slog.New(slog.DiscardHandler), start: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Watch(ctx) }()
		time.Sleep(2 * seldom)
		if !s.OfMemory() {
			t.Error("a thousand bytes are enough")
		}
		s.judge(0)
		if s.OfMemory() {
			t.Error("nothing is too much")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func ExampleStrain_Room() {
	s := New(slog.New(slog.DiscardHandler), func(error) {})
	listener := s.Room(1)
	fmt.Println(listener.Take(), listener.Take())
	// Output: true false
}
