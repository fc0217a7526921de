package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/internal/pause"
	"semper/pipeline"
	"semper/rollout"
	"semper/supervise"
)

// readyAfter is how long an instance without a check must have run until it counts as ready: one
// that exits at once never does.
const readyAfter = 500 * time.Millisecond

// instance is one instance as last observed. The model owns it.
type instance struct {
	status    semper.InstanceStatus
	ready     bool   // by its checks, for this incarnation
	was       bool   // it was ready before in this incarnation
	why       string // it is not ready
	endedAt   time.Time
	quiesced  bool // it was told to take no more jobs of its own broker
	drained   bool // and has none left
	untold    bool // somebody was told that it could not be told
	stopProbe context.CancelFunc
}

// judged is the instance with its state as the checks see it.
func (in *instance) judged() rollout.Instance {
	s := in.status
	out := rollout.Instance{State: s.State, Restarts: s.Restarts, LastEnd: s.LastEnd, Why: in.why, Drained: in.drained, Address: s.Address, PID: s.PID, Ticks: s.StartTicks}
	if s.State == semper.Starting {
		switch {
		case in.ready:
			out.State = semper.Ready
		case in.was:
			out.State = semper.NotReady
		}
	}
	if out.Why == "" && s.State == semper.Waiting && s.LastEnd != nil {
		out.Why = s.LastEnd.Reason.String() + "; " + s.LastEnd.Decision
	}
	return out
}

// watchKeeper follows the keeper for as long as ctx lives. While it is away nothing is decided.
func (c *Control) watchKeeper(ctx context.Context) error {
	away := func(m *model) { m.keeperSeen = false }
	defer c.tell(ctx, "the keeper is not watched", away) // after a panic: its successor begins with everything
	for ctx.Err() == nil {
		ch, err := c.o.Keeper.Watch(ctx)
		if err != nil {
			pause.For(ctx, 100*time.Millisecond)
			continue
		}
		first := true
		for batch := range ch {
			whole := first
			first = false
			ended := slices.ContainsFunc(batch, func(s semper.InstanceStatus) bool { return s.LastEnd != nil || s.Crashes > 0 })
			c.tell(ctx, "instances", func(m *model) {
				m.observe(c, batch, whole)
				if whole || ended {
					m.takeCrashes(c)
				}
			})
		}
		c.tell(ctx, "the keeper is away", away)
	}
	return nil
}

// observe takes a batch from the keeper; a whole one names every instance there is.
func (m *model) observe(c *Control, batch []semper.InstanceStatus, whole bool) {
	if whole {
		m.keeperSeen = true
		known := make(map[semper.InstanceID]bool, len(batch))
		for _, s := range batch {
			known[s.Spec.ID] = true
		}
		for id, in := range m.instances {
			if !known[id] {
				in.stopProbe()
				delete(m.instances, id)
			}
		}
	}
	for _, s := range batch {
		m.observeOne(c, s)
	}
}

func (m *model) observeOne(c *Control, s semper.InstanceStatus) {
	in := m.instances[s.Spec.ID]
	if in == nil {
		in = &instance{stopProbe: func() {}}
		m.instances[s.Spec.ID] = in
	}
	same := in.status.Incarnation == s.Incarnation && in.status.PID == s.PID && in.status.StartTicks == s.StartTicks
	was := in.status.State
	in.status = s
	if s.State == semper.Ended && in.endedAt.IsZero() {
		in.endedAt = time.Now()
	}
	if s.State != semper.Starting || s.PID == 0 {
		in.stopProbe()
		in.ready, in.was = false, false
		if s.State != semper.Starting {
			in.why = ""
		}
		return
	}
	if same && was == semper.Starting {
		if s.Notified && s.Spec.Spec.Health.Kind == semper.HealthNotify {
			in.ready, in.was, in.why = true, true, ""
		}
		return
	}
	in.stopProbe()
	in.quiesced, in.drained, in.untold = false, false, false
	in.ready = m.routed(s)
	in.was = in.ready
	in.why = ""
	m.probe(c, in)
}

// routed reports whether the stored route table names s in this very incarnation.
func (m *model) routed(s semper.InstanceStatus) bool {
	for _, p := range slices.Concat(m.table.value.Pools, m.table.value.Workers) {
		for _, b := range p.Backend {
			if b.ID == s.Spec.ID && b.PID == s.PID && b.StartTicks == s.StartTicks {
				return true
			}
		}
	}
	return false
}

// watchEdges keeps the edges' states current: at once after a new epoch, often while something
// drains, twice a second while something is held, seldom otherwise.
func (c *Control) watchEdges(ctx context.Context) error {
	var want semper.Epoch
	for ctx.Err() == nil {
		v := c.view.Load()
		states, err := c.edgeStates(ctx, want)
		if err != nil {
			states = nil
		}
		desks := c.desks(ctx, v)
		c.tell(ctx, "edges", func(m *model) { m.seeEdges(c, states, desks) })
		delay := idle
		switch {
		case v != nil && v.draining:
			delay = 20 * time.Millisecond
		case v != nil && v.holding:
			delay = idle / 6
		}
		if err != nil {
			delay = 50 * time.Millisecond
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
		}
		timer.Stop()
		if v := c.view.Load(); v != nil {
			want = v.table.Epoch
		}
	}
	return nil
}

// desks asks the queue processes, where some instance may have jobs that it asked for; none where they do not answer.
func (c *Control) desks(ctx context.Context, v *view) []semper.EdgeState {
	if v == nil || !v.pulls {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	states, err := c.o.Edges.Desks(short)
	if err != nil {
		return nil
	}
	return states
}

// edgeStates waits, a bounded time, for every edge to serve by want.
func (c *Control) edgeStates(ctx context.Context, want semper.Epoch) ([]semper.EdgeState, error) {
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if want > 0 {
		if states, err := c.o.Edges.Await(wait, want); err == nil {
			return states, nil
		}
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return c.o.Edges.States(short)
}

func (m *model) seeEdges(c *Control, states, desks []semper.EdgeState) {
	m.edges, m.desks = states, desks
	m.settle(c)
	m.takeCrashes(c) // of semper's own parts, of which no instance tells
}

// perform gives the decisions' commands to children, each at most once at a time.
func (m *model) perform(c *Control, decisions []rollout.Decision) {
	for _, d := range decisions {
		for _, cmd := range d.Commands {
			m.do(c, cmd)
		}
	}
	m.forget(c)
}

func (m *model) do(c *Control, cmd rollout.Command) {
	switch cmd := cmd.(type) {
	case rollout.Stage:
		m.once("stage "+string(cmd.Artifact), func(ctx context.Context) func() {
			err := c.stage(ctx, cmd.Artifact)
			return func() { m.staged[cmd.Artifact] = err }
		}, c)
	case rollout.Start:
		m.once("start "+string(cmd.Spec.ID), func(ctx context.Context) func() {
			st, err := c.o.Keeper.Start(ctx, cmd.Spec)
			if err != nil {
				c.o.Log.Warn("instance not started; trying again", "instance", cmd.Spec.ID, "error", err)
				pause.For(ctx, retryable)
				return func() {}
			}
			return func() {
				if m.instances[cmd.Spec.ID] == nil {
					m.observeOne(c, st)
				}
			}
		}, c)
	case rollout.Quiesce:
		m.quiesce(c, cmd)
	case rollout.Stop:
		m.once("stop "+string(cmd.ID), func(ctx context.Context) func() {
			if err := c.o.Keeper.Stop(ctx, cmd.ID, cmd.Why); err != nil {
				c.o.Log.Warn("instance not stopped; trying again", "instance", cmd.ID, "error", err)
				pause.For(ctx, retryable)
			}
			return func() {}
		}, c)
	}
}

// once runs f in a child unless a command of that name runs already; the model takes f's result. After a panic of f the
// command is free again, a moment later: the machine may ask for it at once.
func (m *model) once(name string, f func(context.Context) func(), c *Control) {
	if m.doing[name] {
		return
	}
	m.doing[name] = true
	h := m.hands
	err := h.do(supervise.ChildSpec{ID: name, Restart: supervise.Temporary, Shutdown: supervise.Infinity, Start: supervise.Serve(func(ctx context.Context) error {
		var then func()
		defer func() {
			if then == nil {
				then = func() {}
				pause.For(ctx, retryable)
			}
			h.tell(ctx, name, func(m *model) {
				delete(m.doing, name)
				then()
			})
		}()
		then = f(ctx)
		return nil
	})})
	if err != nil { // the term is ending; its successor decides anew
		delete(m.doing, name)
		c.o.Log.Debug("not done", "command", name, "error", err)
	}
}

func (c *Control) stage(ctx context.Context, d semper.Digest) error {
	if _, err := c.o.Blobs.Unpack(ctx, d); err != nil {
		return err
	}
	return c.o.Blobs.Verify(ctx, d)
}

// keepEnded is how long an ended instance's log stays to be read.
const keepEnded = 10 * time.Minute

// forget lets the keeper drop instances that ended long ago and that no placement names.
func (m *model) forget(c *Control) {
	named := m.tasks.Outputs()
	for _, e := range m.envs {
		for _, p := range rollout.Placements(e.value) {
			for _, u := range p.Instances {
				named[u.ID] = true
			}
		}
	}
	for id, in := range m.instances {
		if in.status.State != semper.Ended || named[id] || time.Since(in.endedAt) < keepEnded {
			continue
		}
		m.once("forget "+string(id), func(ctx context.Context) func() {
			if err := c.o.Keeper.Forget(ctx, id); err != nil {
				c.o.Log.Warn("instance not forgotten", "instance", id, "error", err)
				return func() { in.endedAt = time.Now() }
			}
			return func() { delete(m.instances, id) }
		}, c)
	}
}

// takeCrashes moves the keeper's crash reports into the store.
func (m *model) takeCrashes(c *Control) {
	m.once("crashes", func(ctx context.Context) func() {
		reports, err := c.o.Keeper.Crashes(ctx)
		if err != nil || len(reports) == 0 {
			return func() {}
		}
		return func() { m.takeReports(c, reports) }
	}, c)
}

// takeReports stores reports and then lets the keeper drop them.
func (m *model) takeReports(c *Control, reports []semper.CrashReport) {
	t := m.newChange(time.Now())
	var ids []string
	for _, r := range reports {
		ids = append(ids, r.ID)
		if m.hasCrash(r.ID) || strings.HasPrefix(r.Service, pipeline.UnitService) { // what became of a gate's command is in its run
			continue
		}
		m.enrich(&r)
		t.crash = append(t.crash, r)
		t.events = append(t.events, semper.Event{
			At: r.At, Kind: "crash", App: r.App, Environment: r.Environment, Release: r.Release, Instance: semper.InstanceID(r.What), Crash: r.ID,
			Message: strings.TrimSuffix(fmt.Sprintf("%s ended after %s: %s; %s", r.Subject(), r.Uptime.D().Round(time.Millisecond), r.Reason, r.Decision), "; none"),
		})
	}
	if !t.empty() {
		if err := m.commit(*t); err != nil {
			c.o.Log.Warn("crash reports not stored; the keeper keeps them", "error", err)
			return
		}
	}
	m.once("ack crashes", func(ctx context.Context) func() {
		if err := c.o.Keeper.AckCrashes(ctx, ids); err != nil {
			c.o.Log.Warn("crash reports not acknowledged", "error", err)
		}
		return func() {}
	}, c)
}

func (m *model) hasCrash(id string) bool {
	for _, r := range m.crashes {
		if r.ID == id {
			return true
		}
	}
	return false
}

// enrich adds what only the store knows: the last good release and what changed since.
func (m *model) enrich(r *semper.CrashReport) {
	e := m.envs[semper.Environment{App: r.App, Name: r.Environment}.Key()].value
	for _, p := range []*semper.Placement{e.Previous, e.Current} {
		if p != nil && p.Release != r.Release && r.LastGood == "" {
			r.LastGood = p.Release
		}
	}
	if r.LastGood != "" {
		r.Diff = rollout.Diff(m.releases[r.App][r.LastGood], m.releases[r.App][r.Release])
	}
}

// settle counts the books of dead edges into the ledgers.
func (m *model) settle(c *Control) {
	if m.doing["settle"] {
		return
	}
	alive := make(map[int]bool)
	for _, e := range m.edges {
		alive[e.PID] = true
	}
	if len(alive) == 0 {
		return // an edge that does not answer is not dead
	}
	m.once("settle", func(context.Context) func() {
		books, err := c.o.Ledgers.Read()
		if err != nil {
			return func() {}
		}
		return func() { m.settleBooks(c, books, alive) }
	}, c)
}

func (m *model) settleBooks(c *Control, books []Book, alive map[int]bool) {
	for _, b := range books {
		if alive[b.PID] || c.o.Machine.Alive(b.PID) {
			continue
		}
		if !m.settled[b.Name] {
			t := m.newChange(time.Now())
			t.books = []string{b.Name}
			t.ledger = make(map[LedgerKey]semper.Ledger)
			for key, l := range b.Settled {
				t.ledger[key] = m.ledgers[key].value.Add(l)
			}
			if err := m.commit(*t); err != nil {
				return
			}
		}
		if err := c.o.Ledgers.Drop(b); err != nil {
			c.o.Log.Warn("ledger of a dead edge not dropped", "file", b.Name, "error", err)
		}
	}
}
