package keeper

import (
	"context"
	"errors"
	"os"
	"time"

	"semper"
	"semper/internal/handoff"
	"semper/keeper/allot"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/keeper/sockets"
	"semper/unit/process"
)

// takeBack bounds how long a living part may take to hand its sockets back.
const takeBack = 10 * time.Second

// adopt reads the journal and finds out what of it lives. It starts nothing and kills only what no
// record answers for.
func (k *keeper) adopt() error {
	records, err := k.journal.Load()
	if err != nil {
		return err
	}
	found := mark.Processes(k.held.Marker.ID)
	adopted := map[mark.Mark]bool{}
	for _, r := range records {
		m := &member{rec: r, state: semper.Starting}
		m.limit = limitOf(r)
		k.reserve(m)
		if c := k.adoptMember(m, found); c != nil {
			adopted[mark.Mark{Dir: k.held.Marker.ID, Token: r.Token, Incarnation: c.n}] = true
			k.log.Info("adopted", "what", r.Name, "pid", c.p.PID())
			continue
		}
		k.bury(m)
	}
	for _, p := range found {
		if !adopted[p.Mark] {
			k.log.Warn("killed a stray process", "pid", p.PID, "mark", p.Mark.String())
			p.Kill()
		}
	}
	return nil
}

// reserve makes m known and keeps what it was given for it.
func (k *keeper) reserve(m *member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addLocked(m)
	if in := m.rec.Instance; in != nil && in.Port != 0 && !k.ports.Keep(in.Port, m.rec.Name) {
		k.log.Error("two instances have one port in the journal", "what", m.rec.Name, "port", in.Port)
	}
}

// adoptMember is m's living incarnation, nil when there is none: the one in the journal, or one that
// was started too late to get there.
func (k *keeper) adoptMember(m *member, found []mark.Process) *incarnation {
	id := m.rec.Identity
	for _, p := range found {
		later := p.Incarnation > m.rec.Incarnation || p.Incarnation == m.rec.Incarnation && p.Start < id.StartTicks
		if p.Token == m.rec.Token && p.PID == p.PGID && (id.PID == 0 || later) && p.Incarnation >= m.rec.Incarnation {
			m.rec.Incarnation = p.Incarnation
			m.rec.Boot = k.boot
			id = process.Identity{PID: p.PID, StartTicks: p.Start, Marker: p.Mark.String(), Cgroup: id.Cgroup}
			m.rec.StartedAt = time.Time{}
		}
	}
	if id.PID == 0 || m.rec.Boot != k.boot {
		return nil
	}
	p, err := process.Adopt(id, process.Options{Name: m.rec.Name, StopSignal: m.rec.StopSignal(), Reaper: k.reaper})
	if err != nil {
		if !errors.Is(err, process.ErrGone) {
			k.log.Error("process not adopted", "what", m.rec.Name, "pid", id.PID, "error", err)
		}
		return nil
	}
	c := &incarnation{n: m.rec.Incarnation, p: p, output: k.outputOf(m.rec), done: make(chan struct{})}
	k.mu.Lock()
	m.rec.Identity, m.rec.StartedAt = id, p.StartedAt()
	m.cur, m.adopted = c, c
	m.bounder = k.bound(m.rec)
	k.mu.Unlock()
	k.attend(m, c)
	k.compete(m, c) // nobody here knows for how long it has yielded
	k.listenAgain(m, c)
	return c
}

// listenAgain makes up for what m's process may have said while no keeper listened. An exec in place
// loses nothing.
func (k *keeper) listenAgain(m *member, c *incarnation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.door.Name != "" || m.rec.Notified {
		return
	}
	switch in := m.rec.Instance; {
	case in == nil:
		// Whoever waits for every ready edge must rather count one too many.
		m.rec.Notified = true
		k.saveLocked(m)
	case in.Spec.Spec.Health.Kind == semper.HealthNotify:
		c.p.KillFor(semper.Reason{Kind: semper.ReasonHealth, Detail: "what it said may have been lost while no keeper listened"})
	}
}

// bury decides what becomes of a member whose process does not live any more.
func (k *keeper) bury(m *member) {
	r := &m.rec
	switch {
	case r.Ended:
	case once(*r) && r.Boot != "" && r.Boot != k.boot:
		k.endedUnseen(m, semper.Reason{Kind: semper.ReasonUnknown, Detail: "the machine was restarted"}, k.outputOf(*r).tail())
		r.Ended = true
	case r.Identity.PID != 0 && r.Boot == k.boot, once(*r) && r.Incarnation > 0:
		k.endedUnseen(m, semper.Reason{Kind: semper.ReasonUnknown, Detail: "no keeper was running"}, k.outputOf(*r).tail())
		r.Ended = once(*r)
	case r.Identity.PID != 0:
		// The machine went down under it: nobody's crash.
		r.LastEnd = &semper.End{
			Reason: semper.Reason{Kind: semper.ReasonUnknown, Detail: "the machine was restarted"},
			At:     time.Now(), Incarnation: r.Incarnation, PID: r.Identity.PID, Decision: "restart at once",
		}
		r.Identity = process.Identity{}
	}
	r.Notified = r.Notified && r.Part == nil // its next incarnation has yet to say so
	if r.Part != nil && r.Part.Draining {
		k.forget(m)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Desired == journal.Stop || r.Ended {
		r.Ended = true
		m.state = semper.Ended
	} else {
		m.bounder = k.bound(m.rec)
		k.movePortLocked(m)
	}
	k.saveLocked(m)
}

// movePortLocked gives a dead instance another port if a stranger took its own in the meantime.
func (k *keeper) movePortLocked(m *member) {
	in := m.rec.Instance
	if in == nil || in.Port == 0 || allot.Free(in.Port) {
		return
	}
	other, err := k.ports.Take(m.rec.Name)
	if err != nil {
		k.log.Error("port is taken by a stranger and there is no other", "what", m.rec.Name, "port", in.Port, "error", err)
		return
	}
	k.log.Warn("port is taken by a stranger; another is used", "what", m.rec.Name, "port", in.Port, "now", other)
	k.ports.Release(in.Port, m.rec.Name)
	in.Port = other
}

// listen gets every socket: those that came through exec, those living parts hold, and new ones for
// what is then missing.
func (k *keeper) listen(ctx context.Context) error {
	wants, err := sockets.Wants(k.dir.API(), k.o.HTTP, k.o.HTTPS, k.o.API)
	if err != nil {
		return err
	}
	wants = append(wants, sockets.Want{Name: "queue", Network: "unix", Addr: k.dir.QueueSocket()},
		sockets.Want{Name: "jobs", Network: "unix", Addr: k.dir.JobsSocket(), Open: true})
	have := k.sockets
	if len(have) == 0 {
		have = k.takeBack(ctx)
	}
	if err := context.Cause(ctx); err != nil {
		handoff.Close(have)
		return err
	}
	have, udp := sockets.Apart(have)
	if k.sockets, err = sockets.Open(ctx, wants, have); err != nil {
		handoff.Close(udp)
		return err
	}
	if err := k.openHTTP3(ctx, udp); err != nil {
		return err
	}
	if k.door.Name != "" {
		return nil
	}
	door, err := sockets.Open(ctx, []sockets.Want{{Name: "keeper", Network: "unix", Addr: k.dir.KeeperSocket()}}, nil)
	if err == nil {
		k.door = door[0]
	}
	return err
}

// takeBack, before any other goroutine knows the members, fetches the sockets living parts hold.
func (k *keeper) takeBack(ctx context.Context) []handoff.Socket {
	var all []handoff.Socket
	for _, kind := range []string{kindEdge, kindControl, kindQueue} {
		var living []*member
		var holders []sockets.Holder
		for _, m := range k.partsOf(kind) {
			if m.cur != nil {
				living = append(living, m)
				holders = append(holders, sockets.Holder{Path: k.dir.PartSockets(m.rec.Name), Gone: m.cur.p.Exited()})
			}
		}
		got, ok := sockets.Take(ctx, holders, takeBack)
		if !ok && ctx.Err() == nil {
			k.giveUpOn(living)
		}
		all = append(all, got...)
	}
	return all
}

// giveUpOn kills parts that live and do not give their sockets: nobody else could ever serve the
// queues they hold.
func (k *keeper) giveUpOn(living []*member) {
	for _, m := range living {
		m.rec.Notified = false
		if exited(m.cur) {
			continue
		}
		k.log.Error("a part does not hand its sockets back and is replaced", "part", m.rec.Name, "pid", m.cur.p.PID())
		m.cur.p.KillFor(semper.Reason{Kind: semper.ReasonHealth, Detail: "it did not hand back its listening sockets"})
		<-m.cur.p.Exited()
	}
}

func exited(c *incarnation) bool {
	select {
	case <-c.p.Exited():
		return true
	default:
		return false
	}
}

// noteUncleanEnd reports the keeper before this one if it did not end by itself, and marks this one.
// It waits for the disk: a report of a death must not get lost by the next one.
func (k *keeper) noteUncleanEnd() {
	mine := journal.Running{PID: os.Getpid(), Boot: k.boot, Started: time.Now()}
	last, err := journal.MarkRunning(k.dir.KeeperFile(runningFile), mine)
	if err != nil {
		k.log.Error("mark of the running keeper not written", "error", err)
	}
	if last.PID == 0 {
		return
	}
	k.log.Warn("the keeper before this one was killed", "pid", last.PID)
	k.fileReport(semper.CrashReport{
		At: time.Now(), What: "semper keeper", PID: last.PID, Decision: "this keeper took over",
		Reason: semper.Reason{Kind: semper.ReasonUnknown, Detail: "it left without a word"},
	}, nil)
	k.journal.Flush()
}

// runningFile stands on disk while a keeper runs.
const runningFile = "running.json"
