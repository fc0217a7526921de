package keeper

import (
	"context"
	"sync"
	"time"

	"semper/supervise"
)

// edgeEnd is how long an edge may drain when everything is stopped: nobody waits for the next one.
const edgeEnd = 15 * time.Second

// stopAll ends everything in order: edges, so that nothing new comes in, then the instances they gave
// work to, then control, then the store it writes to. All of it is still wanted when a keeper starts
// the next time. When ctx ends first, what is left keeps running.
func (k *keeper) stopAll(ctx context.Context) {
	k.mu.Lock()
	k.stopping = true
	k.changedLocked(nil)
	var instances []*member
	for _, m := range k.members {
		if m.rec.Instance != nil {
			instances = append(instances, m)
		}
	}
	k.mu.Unlock()
	k.log.Info("stopping everything")
	k.terminate(ctx, k.system, k.partsOf(kindEdge), edgeEnd)
	var wg sync.WaitGroup
	for _, m := range instances {
		k.groupMu.Lock()
		g := k.groups[m.limit.Name]
		k.groupMu.Unlock()
		if g != nil {
			wg.Go(func() { k.terminate(ctx, g.sup, []*member{m}, 0) })
		}
	}
	wg.Wait()
	k.terminate(ctx, k.system, k.partsOf(kindQueue), 0)
	k.terminate(ctx, k.system, k.partsOf(kindControl), 0)
	k.terminate(ctx, k.system, k.partsOf(kindStore), 0)
}

// terminate ends members at once and waits for all of them; after limit (if any) they are killed.
func (k *keeper) terminate(ctx context.Context, s *supervise.Supervisor, members []*member, limit time.Duration) {
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			if limit > 0 {
				hurry := time.AfterFunc(limit, func() { k.killNow(m) })
				defer hurry.Stop()
			}
			if err := s.TerminateChild(ctx, m.rec.Name); err != nil && ctx.Err() == nil {
				k.log.Debug("not ended", "what", m.rec.Name, "error", err)
			}
		})
	}
	wg.Wait()
}

func (k *keeper) killNow(m *member) {
	k.mu.Lock()
	c := m.cur
	k.mu.Unlock()
	if c != nil {
		c.Kill()
	}
}
