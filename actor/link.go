package actor

import "semper/supervise"

// A MonitorRef is one monitor. The zero MonitorRef is none.
type MonitorRef struct {
	of *process
	n  uint64
}

// Down is the Info that a process gets once for each of its monitors, when the process it watches has ended. By then
// the name of that process is free.
type Down struct {
	Ref    MonitorRef
	PID    PID
	Reason Reason // ErrNoProc in Err when the process had ended before the monitor was made
}

// Exit is the Info that a process which traps exits gets instead of ending with a process it is linked to.
type Exit struct {
	From   PID
	Reason Reason
}

// Monitor asks for one Down when other ends; at once when it has ended. Monitors stack: two give two Downs.
func (p *process) Monitor(other PID) MonitorRef {
	m := MonitorRef{of: other.p, n: lastID.Add(1)}
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return m
	}
	c := p.rare()
	if c.monitoring == nil {
		c.monitoring = make(map[uint64]*process)
	}
	c.monitoring[m.n] = other.p
	p.mu.Unlock()
	if other.p == nil || !other.p.watch(m.n, p) {
		p.down(other.p, m.n, noProc)
		return m
	}
	if !(PID{p}).Alive() { // it may have missed this one when it gave its monitors up
		other.p.unwatch(m.n)
	}
	return m
}

// Demonitor takes a monitor back, and reports whether that was in time: if so, there is no Down of it. Otherwise its
// Down has been handled, or is in the mailbox already and is delivered all the same.
func (p *process) Demonitor(m MonitorRef) bool {
	p.mu.Lock()
	if p.cold == nil {
		p.mu.Unlock()
		return false
	}
	_, ok := p.cold.monitoring[m.n]
	delete(p.cold.monitoring, m.n)
	p.mu.Unlock()
	if ok && m.of != nil {
		m.of.unwatch(m.n)
	}
	return ok
}

// down delivers a Down, unless the monitor was taken back.
func (p *process) down(of *process, ref uint64, r Reason) {
	p.mu.Lock()
	if p.phase == dead || p.cold == nil {
		p.mu.Unlock()
		return
	}
	if _, ok := p.cold.monitoring[ref]; !ok {
		p.mu.Unlock()
		return
	}
	delete(p.cold.monitoring, ref)
	p.inform(Down{Ref: MonitorRef{of: of, n: ref}, PID: PID{of}, Reason: r})
}

var noProc = Reason{Kind: Crash, Err: ErrNoProc}

// watch registers w; false means that p has ended and has no name any more.
func (p *process) watch(ref uint64, w *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	c := p.rare()
	if c.watchers == nil {
		c.watchers = make(map[uint64]*process, 1)
	}
	c.watchers[ref] = w
	return true
}

func (p *process) unwatch(ref uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cold != nil {
		delete(p.cold.watchers, ref)
	}
}

// Link ties two lives together: when one ends, the other gets its exit signal. Linking twice is linking once, and a
// link to itself is none. A link to a process that has ended gives an exit signal with ErrNoProc.
func (p *process) Link(other PID) {
	switch {
	case other.p == p:
	case other.p == nil || !p.tie(other.p):
		p.signal(other.p, noProc)
	}
}

// Unlink takes a link back. No exit signal of other comes after it returns, except one that is in the mailbox already.
func (p *process) Unlink(other PID) {
	q := other.p
	if q == nil || q == p {
		return
	}
	lockBoth(p, q)
	defer unlockBoth(p, q)
	if p.cold != nil {
		p.cold.links.Drop(q)
	}
	if q.cold != nil {
		q.cold.links.Drop(p)
	}
}

// tie makes a link; false means that other is over. A p that has ended is not tied: what a killed process still does
// has no effect.
func (p *process) tie(other *process) bool {
	lockBoth(p, other)
	defer unlockBoth(p, other)
	switch {
	case p.phase == dead, p.linkedTo(other): // other may have ended: then its exit signal is on its way
		return true
	case other.over:
		return false
	}
	p.rare().links.Add(other)
	other.rare().links.Add(p)
	return true
}

func lockBoth(p, q *process) {
	if p.id > q.id {
		p, q = q, p
	}
	p.mu.Lock()
	q.mu.Lock()
}

func unlockBoth(p, q *process) {
	p.mu.Unlock()
	q.mu.Unlock()
}

// linkedTo reports whether there is a link; mu is held.
func (p *process) linkedTo(other *process) bool {
	if p.cold == nil {
		return false
	}
	return p.cold.links.Has(other)
}

// TrapExit makes exit signals arrive as Exit messages instead of ending the process, and says what it was before. The
// exit of the parent ends it all the same, after the messages that came before.
func (p *process) TrapExit(on bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.trap
	p.trap = on
	return was
}

// linked is a copy of whom p is linked to.
func (p *process) linked() []*process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cold == nil {
		return nil
	}
	all := make([]*process, 0, p.cold.links.Len())
	for other := range p.cold.links.All() {
		all = append(all, other)
	}
	return all
}

// child is a process as its supervisor sees it. It lives without a goroutine that watches it.
type child process

var (
	_ supervise.Notifier    = (*child)(nil)
	_ supervise.Abandonable = (*child)(nil)
)

func (c *child) Done() <-chan struct{} { return (*process)(c).done() }
func (c *child) Gone() <-chan struct{} { return (*process)(c).goneChan() }
func (c *child) Reason() Reason        { return PID{(*process)(c)}.Reason() }
func (c *child) Shutdown()             { (*process)(c).shutdown() }
func (c *child) Kill()                 { (*process)(c).kill(Reason{Kind: Killed}) }

// PID is the process, for those that walk a tree.
func (c *child) PID() PID { return PID{(*process)(c)} }

// Notify calls f once when the process has ended, after Done.
func (c *child) Notify(f func()) {
	p := (*process)(c)
	p.mu.Lock()
	if p.told {
		p.mu.Unlock()
		f()
		return
	}
	p.rare().after.Add(f)
	p.mu.Unlock()
}
