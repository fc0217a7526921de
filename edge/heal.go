package edge

import (
	"context"
	"errors"
	"os"

	"semper/edge/balance"
	"semper/edge/dial"
	"semper/edge/front"
	"semper/edge/heal"
	"semper/edge/metrics"
	"semper/edge/probe"
	"semper/edge/procid"
	"semper/edge/upstream"
)

// heal makes o the policy by which backends of c are left out. e.registry is held.
func (e *Edge) heal(c *pool, o *OutlierConfig) {
	w, p := c.lane.heal, o.Policy()
	if w == nil && p == nil {
		return
	}
	if w == nil {
		w = heal.New(heal.Options{Log: e.log, Ejected: e.tend}, p, e.now())
		c.lane.heal = w
	}
	w.Go(p, c.members, func(b *balance.Backend) string { return string(c.index[b].id) })
	for _, b := range c.backends {
		b.heal.Store(w)
	}
}

// saw notes what became of a request to b: the status of its answer, or that there was none.
func (b *backend) saw(now int64, status int, broken bool) {
	if w := b.heal.Load(); w != nil {
		w.Saw(now, b.balance, status, broken)
	}
}

// failed notes what an attempt that brought no response says of b.
func (b *backend) failed(now int64, f *failure) {
	if f.kind == front.ConnectFailed && dial.Refused(f.err) {
		b.eject("it does not accept connections", f.err)
	}
	if f.kind != front.WasCut && f.kind != front.ClientFault && !f.own() {
		b.saw(now, 0, true)
	}
}

// blames reports whether it says something of the backend's release: a connection at rest that was closed before any of the
// request was on it does not. One that was closed behind that may have been at rest too, but instances that die look the same.
func (f *failure) blames() bool {
	return f.kind != front.WasCut && f.kind != front.ClientFault && !f.own() && (f.kind != front.Broken || !f.unsent)
}

// own reports whether it was this process that was short of something: that says nothing of the backend.
func (f *failure) own() bool { return f.kind == front.ConnectFailed && dial.Exhausted(f.err) }

// examine asks b how it is, again and again, until b is retired.
func (b *backend) examine(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	probe.Follow(ctx, b.question, b.asked, func(healthy, asked bool) {
		b.balance.SetHealthy(healthy, b.edge.now())
		if asked {
			b.edge.log.Info("backend asked how it is", "instance", b.id, "address", b.address, "healthy", healthy)
			b.edge.wake()
		}
	})
}

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
	b.edge.background.Spawn(&b.edge.background.Backends, "watch "+string(b.id), func(ctx context.Context) {
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
