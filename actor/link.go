package actor

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
	ref := lastID.Add(1)
	m := MonitorRef{of: other.p, n: ref}
	if other.p == nil || !other.p.watch(ref, p) {
		_ = p.self.post(Down{Ref: m, PID: other, Reason: noProc})
		return m
	}
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		other.p.unwatch(ref)
		return m
	}
	c := p.rare()
	if c.monitoring == nil {
		c.monitoring = make(map[uint64]*process)
	}
	c.monitoring[ref] = other.p
	p.mu.Unlock()
	if !other.Alive() {
		p.mu.Lock()
		delete(p.rare().monitoring, ref)
		p.mu.Unlock()
	}
	return m
}

// Demonitor takes a monitor back. A Down that is in the mailbox already is delivered all the same; the result says
// that none will be sent any more.
func (p *process) Demonitor(m MonitorRef) bool {
	if m.of == nil {
		return false
	}
	p.mu.Lock()
	if p.cold != nil {
		delete(p.cold.monitoring, m.n)
	}
	p.mu.Unlock()
	return m.of.unwatch(m.n)
}

func (p *process) down(of *process, ref uint64, r Reason) {
	p.mu.Lock()
	if p.cold != nil {
		delete(p.cold.monitoring, ref)
	}
	p.mu.Unlock()
	_ = p.self.post(Down{Ref: MonitorRef{of: of, n: ref}, PID: PID{of}, Reason: r})
}

var noProc = Reason{Kind: Crash, Err: ErrNoProc}

// watch registers a watcher; false means that p has ended.
func (p *process) watch(ref uint64, w watcher) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == dead {
		return false
	}
	c := p.rare()
	if c.watchers == nil {
		c.watchers = make(map[uint64]watcher, 1)
	}
	c.watchers[ref] = w
	return true
}

func (p *process) unwatch(ref uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cold == nil {
		return false
	}
	_, ok := p.cold.watchers[ref]
	delete(p.cold.watchers, ref)
	return ok
}

// Link ties two lives together: when one ends, the other gets its exit signal. Linking twice is linking once. A link
// to a process that has ended gives an exit signal with ErrNoProc.
func (p *process) Link(other PID) {
	switch {
	case other.p == p:
	case other.p == nil || !other.p.tie(p):
		p.signal(other.p, noProc)
	case !p.tie(other.p): // p was killed meanwhile
		other.p.cut(p)
		other.p.signal(p, PID{p}.Reason())
	case !other.Alive() && p.cut(other.p):
		// It died between the two halves, and did not find this one.
		p.signal(other.p, other.Reason())
	}
}

// Unlink takes a link back. No exit signal of other comes after it returns, except one that is in the mailbox already.
func (p *process) Unlink(other PID) {
	if other.p != nil && p.cut(other.p) {
		other.p.cut(p)
	}
}

func (p *process) tie(other *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == dead {
		return false
	}
	c := p.rare()
	if c.links == nil {
		c.links = make(map[*process]struct{}, 1)
	}
	c.links[other] = struct{}{}
	return true
}

func (p *process) cut(other *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cold == nil {
		return false
	}
	_, ok := p.cold.links[other]
	delete(p.cold.links, other)
	return ok
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

// links is a copy of whom p is linked to.
func (p *process) linked() []*process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cold == nil {
		return nil
	}
	all := make([]*process, 0, len(p.cold.links))
	for other := range p.cold.links {
		all = append(all, other)
	}
	return all
}

// child is a process as its supervisor sees it.
type child process

func (c *child) Done() <-chan struct{} { return (*process)(c).done() }
func (c *child) Gone() <-chan struct{} { return (*process)(c).goneChan() }
func (c *child) Reason() Reason        { return PID{(*process)(c)}.Reason() }
func (c *child) Shutdown()             { (*process)(c).shutdown() }
func (c *child) Kill()                 { (*process)(c).kill(Reason{Kind: Killed}) }

// PID is the process, for those that walk a tree.
func (c *child) PID() PID { return PID{(*process)(c)} }

// Notify calls f once when the process has ended.
func (c *child) Notify(f func()) {
	if !(*process)(c).watch(lastID.Add(1), callWhenDown(f)) {
		f()
	}
}

type callWhenDown func()

func (f callWhenDown) down(*process, uint64, Reason) { f() }
