package actor

// signal delivers an exit signal from another process, or from outside when from is nil.
func (p *process) signal(from *process, r Reason) {
	p.mu.Lock()
	p.deliver(from, r)
}

// severed delivers the exit signal of a link, unless the link was taken back: once Unlink has returned, none comes.
func (p *process) severed(from *process, r Reason) {
	p.mu.Lock()
	if !p.linkedTo(from) {
		p.mu.Unlock()
		return
	}
	p.cold.links.Drop(from)
	p.deliver(from, r)
}

// deliver does what an exit signal does; mu is held and released.
func (p *process) deliver(from *process, r Reason) {
	parental := from != nil && from == p.parent
	switch {
	case p.phase == dead:
		p.mu.Unlock()
	case p.trap && parental && !p.suspended:
		p.inform(ending{r})
	case p.trap && !parental:
		p.inform(Exit{From: PID{from}, Reason: r})
	case r.Kind == Normal && !parental:
		p.mu.Unlock()
	default:
		p.leave(r)
	}
}

// inform puts an Info into the mailbox of a process that lives; mu is held and released.
func (p *process) inform(info any) {
	p.self.push(info)
	if p.suspended {
		p.mu.Unlock()
		return
	}
	p.wake()
}

// post is inform from outside.
func (p *process) post(info any) error {
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return ErrNoProc
	}
	p.inform(info)
	return nil
}

// leave makes p end between two messages, and ends its context; mu is held and released.
func (p *process) leave(r Reason) {
	if p.exit == nil {
		p.exit = &r
	}
	p.alarm.Store(true)
	p.endContext()
	p.wake()
}

// leaving reports whether the process is to end, or has ended, before its next message.
func (p *process) leaving() bool {
	if !p.alarm.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit != nil || p.phase == dead
}

// shutdown is the exit signal of a supervisor. It ends a process that traps exits too, after the messages before it.
func (p *process) shutdown() {
	r := Reason{Kind: Shutdown}
	p.mu.Lock()
	switch {
	case p.phase == dead:
		p.mu.Unlock()
	case p.trap && !p.suspended:
		p.inform(ending{r})
	default:
		p.leave(r)
	}
}

// ending is the exit of a parent or a supervisor's shutdown on its way through the mailbox of one that traps exits.
type ending struct{ reason Reason }

func (p *process) kill(r Reason) {
	r.Kind = Killed
	p.alarm.Store(true)
	p.die(r, false)
}
