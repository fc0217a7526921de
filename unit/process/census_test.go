package process

import (
	"os"
	"sync"
	"testing"
	"testing/synctest"
)

// TestCensusIsShared has many ask while a look is being taken: they share the next one, and nobody gets one that began before he
// asked.
func TestCensusIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			c     census
			looks int
			begun = make(chan struct{})
			end   = make(chan struct{})
		)
		read := func() []stat {
			looks++
			if looks == 1 {
				close(begun)
				<-end
			}
			return []stat{{pid: looks}}
		}
		var all sync.WaitGroup
		ask := func(want int) {
			all.Go(func() {
				if got := c.take(read); len(got) != 1 || got[0].pid != want {
					t.Errorf("a look of %v, want number %d", got, want)
				}
			})
		}
		ask(1)
		<-begun
		for range 20 {
			ask(2)
		}
		synctest.Wait() // all of them wait now
		close(end)
		all.Wait()
		if looks != 2 {
			t.Errorf("%d looks for 21 who asked, want 2", looks)
		}
		ask(3)
		all.Wait()
	})
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	want, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	processes(func(s stat) {
		if s.pid == want.pid && s.start == want.start && s.ppid == want.ppid && s.pgrp == want.pgrp {
			found++
		}
	})
	if found != 1 {
		t.Errorf("this process was found %d times", found)
	}
}

// BenchmarkProcesses is one look at everything that runs.
func BenchmarkProcesses(b *testing.B) {
	n := 0
	for b.Loop() {
		n = len(readStats())
	}
	b.ReportMetric(float64(n), "processes")
}
