package traffic

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Difference is an exchange of which two sides made something different.
type Difference struct {
	Number   uint64 // of its session
	Index    int    // in it
	Exchange Exchange
	What     string
}

func (d Difference) String() string {
	return fmt.Sprintf("session %d, exchange %d (%s, abort %d at byte %d): %s", d.Number, d.Index, d.Exchange.ID, d.Exchange.Abort, d.Exchange.At, d.What)
}

// MaxDifferences are kept; whoever has so many needs no more.
const MaxDifferences = 20

// Compare plays the traffic of a seed through both sides until n exchanges have passed, by several workers at a time.
// It returns how many were played and the first differences. An error tells that ctx ended.
func Compare(ctx context.Context, a, b *Side, seed uint64, n, workers int) (played int, all []Difference, err error) {
	var next, count atomic.Uint64
	var mu sync.Mutex // guards all
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil && count.Load() < uint64(n) {
				number := next.Add(1)
				session := Generate(seed, number)
				count.Add(uint64(len(session.Exchanges)))
				found := one(ctx, a, b, number, session)
				mu.Lock()
				all = append(all, found[:min(len(found), MaxDifferences-len(all))]...)
				full := len(all) == MaxDifferences
				mu.Unlock()
				if full {
					return
				}
			}
		})
	}
	wg.Wait()
	return int(count.Load()), all, context.Cause(ctx)
}

// one plays a session through both sides, one after the other.
func one(ctx context.Context, a, b *Side, number uint64, session Session) []Difference {
	va, vb := a.play(ctx, session), b.play(ctx, session)
	if ctx.Err() != nil {
		return nil
	}
	var found []Difference
	for i, e := range session.Exchanges {
		if what := compare(e, &va[i], &vb[i]); what != "" {
			found = append(found, Difference{number, i, e, what})
		}
	}
	return found
}

// Late returns the ids of requests that the client cut short and that reached a side's backend whole after all, some
// time later. Ask when all traffic is over.
func (s *Side) Late() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.seen {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
