package edge

import (
	"context"
	"errors"
	"os"

	"semper/edge/dial"
	"semper/edge/metrics"
	"semper/edge/probe"
	"semper/edge/procid"
	"semper/edge/upstream"
)

// watchProcess follows the backend's process: its death ejects the backend before the first request fails. Where the kernel does not
// tell, connecting does.
func (b *backend) watchProcess() {
	w, err := procid.Follow(b.pid, b.ticks)
	switch {
	case errors.Is(err, os.ErrProcessDone):
		b.eject("its process is gone", nil)
		return
	case err != nil:
		b.edge.log.Debug("process not watched", "instance", b.id, "pid", b.pid, "error", err)
		return
	}
	context.AfterFunc(b.ctx, w.Close)
	b.edge.spawn(&b.edge.background.backends, "watch "+string(b.id), func(ctx context.Context) {
		defer context.AfterFunc(ctx, w.Close)()
		if w.Ended() {
			b.eject("its process ended", nil)
		}
	})
}

// probe asks an ejected backend until it answers, or is out of every table. Control may be away just
// now, and its next table with it: an instance that its keeper restarted has to get traffic all the same.
func (b *backend) probe(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	if !probe.Await(ctx, b.known, b.asked) {
		return
	}
	b.mu.Lock()
	b.probing = false
	b.balance.SetDown(false, b.edge.now())
	b.mu.Unlock()
	b.place.Load().Count(metrics.Readmitted)
	b.edge.log.Info("backend answers again", "instance", b.id, "address", b.address)
	b.edge.wake()
}

// known is the backend's check.
func (b *backend) known() probe.Check {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check
}

// asked is b as one that is asked whether it is well.
func (b *backend) asked() probe.Backend {
	return probe.Backend{
		Host: dial.Host(b.address), Secure: b.speech.tls != nil, Single: b.speech.protocol == upstream.H1, Dial: b.dial, Trip: b.pool,
	}
}
