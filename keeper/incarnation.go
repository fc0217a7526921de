package keeper

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/keeper/mark"
	"semper/supervise"
	"semper/unit/process"
)

// What of a process's output goes into reports.
const (
	tailLines = 40
	tailBytes = 32 << 10
)

// errExternal is nothing the unit did.
var errExternal = errors.New("killed from outside")

// An incarnation is one process of a member, or one attempt to start it. It is a [supervise.Child].
type incarnation struct {
	n       int64
	p       *process.Process // nil when it could not be started
	output  output
	drain   func() // asks a part that has to be drained; nil: signal
	asked   sync.Once
	overdue atomic.Bool // it is told to end because its time is over
	done    chan struct{}
	end     semper.End // valid once done is closed; the supervisor's decision is added by observe
	reason  supervise.Reason
}

// incarnate is the start function of m's supervisor. It never fails: an attempt that came to nothing
// is an incarnation that has ended, so that the first attempt is supervised like every later one.
func (k *keeper) incarnate(ctx context.Context, m *member) supervise.Child {
	k.mu.Lock()
	if c := m.adopted; c != nil {
		m.adopted = nil
		k.mu.Unlock()
		k.limitRun(m, c)
		return c
	}
	m.rec.Incarnation++
	m.rec.Notified = false
	m.state = semper.Starting
	n, yields := m.rec.Incarnation, yieldFor(m.rec)
	m.rec.Yields = yields > 0
	k.mu.Unlock()

	o, err := k.options(ctx, m)
	if err == nil {
		err = k.committed(m)
	}
	var p *process.Process
	if err == nil {
		o.Marker = mark.Mark{Dir: k.held.Marker.ID, Token: m.rec.Token, Incarnation: n}.String()
		o.Reaper = k.reaper
		o.Yields = yields > 0
		p, err = process.Start(o)
		closeFiles(o.ExtraFiles)
	}
	c := &incarnation{n: n, p: p, output: output{o.Output, o.Errors}, done: make(chan struct{})}
	if err != nil {
		c.stillborn(ctx, err)
	} else {
		k.attend(m, c)
	}
	k.began(m, c)
	k.limitYielding(m, c, yields)
	k.limitRun(m, c)
	return c
}

// began makes c what m is now.
func (k *keeper) began(m *member, c *incarnation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.cur = c
	m.rec.Ended = false
	m.rec.StartedAt = time.Now()
	if c.p != nil {
		m.rec.Identity, m.rec.Boot = c.p.Identity(), k.boot
		m.rec.StartedAt, m.rec.Warning = c.p.StartedAt(), c.p.Warning()
	} else {
		end := c.end // until the supervisor has decided
		m.rec.LastEnd = &end
	}
	k.saveLocked(m)
	k.changedLocked(m)
	if m.rec.Notified && m.rec.Yields {
		k.goBackground(func() { k.compete(m, c) })
	}
}

// attend has the end of c's process seen to. The goroutine ends with the process, or with the keeper.
func (k *keeper) attend(m *member, c *incarnation) {
	if part := m.rec.Part; part != nil && part.Kind == kindEdge {
		c.drain = func() { k.drainEdge(m.rec.Name, c) }
	}
	k.goBackground(func() {
		select {
		case <-c.p.Done():
			c.conclude()
		case <-k.life.Done():
		}
	})
}

// conclude collects what is known of the end before anyone is told, while the log still ends with the
// last words of this incarnation.
func (c *incarnation) conclude() {
	now := time.Now()
	c.end = semper.End{
		Reason: c.p.Reason(), At: now, Uptime: semper.Duration(now.Sub(c.p.StartedAt()).Round(time.Millisecond)),
		Incarnation: c.n, PID: c.p.PID(), Peak: c.p.Peak(),
	}
	if c.overdue.Load() {
		c.end.Reason = overdue(c.end.Reason)
	}
	if c.end.Reason.Abnormal() {
		c.end.Tail = c.output.tail()
	}
	c.reason = superviseReason(c.end.Reason)
	close(c.done)
}

// stillborn is an attempt that err prevented, or the end of ctx: then nobody wanted it any more.
func (c *incarnation) stillborn(ctx context.Context, err error) {
	defer close(c.done)
	if ctx.Err() != nil {
		c.end = semper.End{Reason: semper.Reason{Kind: semper.ReasonShutdown}, At: time.Now(), Incarnation: c.n}
		c.reason = supervise.Reason{Kind: supervise.Shutdown}
		return
	}
	detail := err.Error()
	if hint := semper.HintOf(err); hint != "" {
		detail += " (" + hint + ")"
	}
	c.end = semper.End{
		Reason:      semper.Reason{Kind: semper.ReasonStart, Detail: detail},
		At:          time.Now(),
		Incarnation: c.n,
		// A crash loop is a suspicion; that these cannot run as they are is known at once.
		GaveUp: semper.CodeOf(err) == semper.Tampered || semper.CodeOf(err) == semper.Invalid,
	}
	c.reason = supervise.Reason{Kind: supervise.Crash, Err: err}
}

// superviseReason is r as a supervisor weighs it. A SIGKILL nobody of semper sent, with memory to
// spare, is an administrator's (or a test's) hand and says nothing about the release.
func superviseReason(r semper.Reason) supervise.Reason {
	switch r.Kind {
	case semper.ReasonNormal:
		return supervise.Reason{Kind: supervise.Normal}
	case semper.ReasonShutdown:
		return supervise.Reason{Kind: supervise.Shutdown}
	case semper.ReasonKilled:
		return supervise.Reason{Kind: supervise.Killed, Err: errors.New(r.String())}
	case semper.ReasonSignal:
		if r.Signal == "SIGKILL" {
			return supervise.Reason{Kind: supervise.Killed, Err: errExternal, External: true}
		}
	}
	return supervise.Reason{Kind: supervise.Crash, Err: errors.New(r.String())}
}

// Done is closed when nothing of the process is left.
func (c *incarnation) Done() <-chan struct{} { return c.done }

// Reason is why it ended, once Done is closed.
func (c *incarnation) Reason() supervise.Reason { return c.reason }

// Shutdown asks the process to end.
func (c *incarnation) Shutdown() {
	switch {
	case c.p == nil:
	case c.drain != nil:
		c.asked.Do(c.drain)
	default:
		c.p.Shutdown()
	}
}

// Kill ends the process and everything it started.
func (c *incarnation) Kill() {
	if c.p != nil {
		c.p.Kill()
	}
}
