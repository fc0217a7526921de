package epoch

import (
	"sync"
	"sync/atomic"
	"testing"
)

// A release of the stress test. What is not atomic is written by whoever changes while the release is drained, and read
// by the requests it serves: where drain were not exact, the race detector would see the two meet.
type release struct {
	counts  []Count // a shard for each group of requests
	up      bool
	version int
	told    chan struct{}
}

type routes struct {
	serves *release // nil: hold
}

// data is what a migration changes during a hold, and requests read: exclusive in turn, by nothing but the protocol.
type data struct{ schema int }

// TestAMillionSwaps runs the protocol against itself: requests without end, and changes of every kind: cutovers with a
// drain, after which the old release is taken down and changed; holds with a migration; holds that are given up at once.
func TestAMillionSwaps(t *testing.T) {
	t.Parallel()
	swaps := 1_000_000
	if testing.Short() {
		swaps = 100_000
	}
	s := newStress()
	var served, held atomic.Int64
	var requests sync.WaitGroup
	var over atomic.Bool
	for i := range 2 * shards {
		requests.Go(func() {
			for !over.Load() {
				if s.request(t, i%shards, &held) {
					served.Add(1)
				}
			}
		})
	}
	for s.swaps < swaps {
		switch s.swaps % 5 {
		case 0:
			s.cutover()
		case 1, 2:
			s.migrate()
		default:
			s.blink()
		}
	}
	over.Store(true)
	requests.Wait()
	for i, r := range s.releases {
		for j := range r.counts {
			if n := r.counts[j].Load(); n != 0 {
				t.Errorf("%d in flight on shard %d of release %d when all is over", n, j, i)
			}
		}
	}
	if served.Load() == 0 || held.Load() == 0 {
		t.Errorf("%d served, %d held: the test shows nothing", served.Load(), held.Load())
	}
	t.Logf("%d swaps, %d requests served, %d held", s.swaps, served.Load(), held.Load())
}

type stress struct {
	current  Current[routes]
	releases [2]*release
	data     data
	serves   int // which release does
	swaps    int
}

func newStress() *stress {
	s := &stress{}
	for i := range s.releases {
		told := make(chan struct{}, 1)
		r := &release{counts: make([]Count, shards), told: told}
		for j := range r.counts {
			r.counts[j].OnIdle(func() {
				select {
				case told <- struct{}{}:
				default:
				}
			})
		}
		s.releases[i] = r
	}
	s.releases[0].up = true
	s.current.Swap(&routes{serves: s.releases[0]})
	return s
}

// request is one request; it reports whether it was served, which it is not only when it had to wait.
func (s *stress) request(t *testing.T, shard int, held *atomic.Int64) bool {
	r := s.current.Load()
	if r.serves == nil {
		held.Add(1)
		<-s.current.Changed(r)
		return false
	}
	n := &r.serves.counts[shard]
	if !s.current.Claim(r, n) {
		return false
	}
	defer n.Release()
	before, schema := r.serves.version, s.data.schema
	if !r.serves.up {
		t.Error("served by a release that is down")
	}
	if r.serves.version != before || s.data.schema != schema {
		t.Error("the release or its data changed under a request")
	}
	return true
}

// leave swaps to r and retires the release before; with drain it returns when that is idle.
func (s *stress) leave(r *routes, drain bool) {
	was := s.releases[s.serves]
	s.current.Swap(r)
	s.swaps++
	for i := range was.counts {
		was.counts[i].Retire()
	}
	for drain && !Idle(was.counts) {
		<-was.told
	}
}

func (s *stress) enter(i int) {
	for j := range s.releases[i].counts {
		s.releases[i].counts[j].Restore()
	}
	s.serves = i
}

func (s *stress) cutover() {
	was, next := s.releases[s.serves], 1-s.serves
	s.releases[next].up = true
	for j := range s.releases[next].counts {
		s.releases[next].counts[j].Restore()
	}
	s.leave(&routes{serves: s.releases[next]}, true)
	was.up = false
	was.version++
	s.serves = next
}

func (s *stress) migrate() {
	s.leave(new(routes), true)
	s.data.schema++
	s.enter(s.serves)
	s.current.Swap(&routes{serves: s.releases[s.serves]})
	s.swaps++
}

// blink holds, and lets go before anything is drained.
func (s *stress) blink() {
	s.leave(new(routes), false)
	s.enter(s.serves)
	s.current.Swap(&routes{serves: s.releases[s.serves]})
	s.swaps++
}
