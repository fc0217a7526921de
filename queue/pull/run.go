package pull

import (
	"context"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/queue"
)

// every is how often what is held is looked at.
const every = 500 * time.Millisecond

// Run does what needs no caller until ctx ends: it deals the jobs that are drawn for sides, finds out which leases have ended, and
// hands back what is held at a drain deadline.
func (d *Desk) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.deal(ctx) })
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		d.look(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			wg.Wait()
			return
		}
	}
}

// look does it once.
func (d *Desk) look(ctx context.Context) {
	if !d.Known() {
		if err := d.recall(ctx); err != nil {
			if ctx.Err() == nil {
				d.log.Warn("what workers hold is not known; trying again", "queue", d.service, "error", err)
			}
			return
		}
		d.mu.Lock()
		d.known = true
		d.mu.Unlock()
	}
	now := time.Now()
	var late, doubtful []hold
	d.mu.Lock()
	for _, h := range d.held {
		switch {
		case d.plan.late(h.who, now) && h.lease.Token != 0:
			late = append(late, *h)
		case !now.Before(h.until):
			doubtful = append(doubtful, *h)
		}
	}
	d.mu.Unlock()
	for _, h := range late {
		if err := d.Release(ctx, h.lease); err == nil {
			d.log.Info("a job was handed back: its worker's time to drain is over", "queue", d.service, "job", h.lease.ID.String(), "instance", h.who)
		}
	}
	for _, h := range doubtful {
		d.verify(ctx, h)
	}
}

// verify asks the queue whether an attempt still runs whose lease should have ended.
func (d *Desk) verify(ctx context.Context, h hold) {
	s, err := d.queue.Get(ctx, h.lease.ID)
	switch {
	case err != nil && semper.CodeOf(err) != semper.NotFound:
		return // asked again
	case err == nil && runs(s, h.lease.Attempt):
		d.mu.Lock()
		defer d.mu.Unlock()
		if now := d.held[h.lease.ID]; now != nil && now.lease == h.lease && now.until.Equal(h.until) {
			now.until = time.Now().Add(every)
		}
	default:
		d.ended(h.lease, queue.ErrLeaseLost, nil)
	}
}

// runs reports whether attempt n of a job is the one that runs.
func runs(s queue.Status, n int) bool {
	return s.State == queue.Running && len(s.Attempts) > 0 && s.Attempts[len(s.Attempts)-1].Number == n
}

// recall reads what instances hold that this desk has not handed out: a process before it did.
func (d *Desk) recall(ctx context.Context) error {
	const page = 256
	for after := (queue.ID{}); ; {
		all, err := d.queue.List(ctx, queue.Running, after, page)
		if err != nil {
			return err
		}
		d.mu.Lock()
		for i := range all {
			s := &all[i]
			after = s.ID
			n := len(s.Attempts)
			if n == 0 || d.held[s.ID] != nil || !strings.Contains(s.Attempts[n-1].Worker, "/") { // of a dispatcher
				continue
			}
			a := s.Attempts[n-1]
			d.held[s.ID] = &hold{lease: queue.Lease{ID: s.ID, Attempt: a.Number}, who: semper.InstanceID(a.Worker), since: a.Started, until: time.Now().Add(every)}
		}
		d.mu.Unlock()
		if len(all) < page {
			return nil
		}
	}
}

// Gone ends the attempts of an incarnation that is no more, so that others get its jobs at once. The instance's jobs that were handed
// out after since are another incarnation's.
func (d *Desk) Gone(ctx context.Context, id semper.InstanceID, since time.Time, why string) {
	var orphans []hold
	d.mu.Lock()
	for _, h := range d.held {
		if h.who == id && !h.since.After(since) && h.lease.Token != 0 {
			orphans = append(orphans, *h)
		}
	}
	d.mu.Unlock()
	for _, h := range orphans {
		if _, err := d.Fail(ctx, h.lease, queue.Failure{Reason: why}); err != nil && ctx.Err() == nil {
			d.log.Debug("the lease of a worker that has ended goes on to its end", "queue", d.service, "job", h.lease.ID.String(), "error", err)
		}
	}
}
