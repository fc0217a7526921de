package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/api"
	"semper/control/delivery"
	taskdesk "semper/control/tasks"
	"semper/rollout"
)

// view is the model as readers see it: a copy made by its process after each change, never altered.
// Slices and maps inside the stored values are shared, because the process replaces and never changes them.
type view struct {
	envs      map[semper.EnvironmentKey]semper.Environment
	versions  map[semper.EnvironmentKey]int64
	releases  map[string]map[semper.ReleaseName]semper.Release
	table     semper.Table
	instances map[semper.InstanceID]seen
	edges     []semper.EdgeState
	desks     []semper.EdgeState // of queue processes
	ledgers   map[LedgerKey]semper.Ledger
	settled   map[string]bool
	crashes   []semper.CrashReport
	waiting   map[semper.EnvironmentKey]string
	verdicts  map[semper.EnvironmentKey]semper.Verdict
	keeper    bool
	draining  bool
	pulls     bool // some instance asks for its jobs
	holding   bool // somebody waits, and people look at how many
	certs     []api.Certificate
	desk      *delivery.View
	tasks     *taskdesk.View
	events    []semper.Event // the newest, oldest first
	changed   chan struct{}  // closed when a newer view is there
}

// seen is an instance as a reader sees it.
type seen struct {
	rollout.Instance
	status semper.InstanceStatus
}

// firstLook is what a fresh control process waits for the keeper's word before it answers without it.
const firstLook = time.Second

// publish makes the model's present state the view, and tells what has happened.
func (c *Control) publish(m *model) {
	if c.view.Load() == nil && !m.keeperSeen && time.Since(m.loaded) < firstLook {
		return // who asks now waits a moment for a whole answer
	}
	v := &view{
		envs: make(map[semper.EnvironmentKey]semper.Environment, len(m.envs)), versions: make(map[semper.EnvironmentKey]int64, len(m.envs)),
		releases: make(map[string]map[semper.ReleaseName]semper.Release, len(m.releases)),
		table:    m.table.value, instances: make(map[semper.InstanceID]seen, len(m.instances)),
		edges: m.edges, desks: m.desks, ledgers: make(map[LedgerKey]semper.Ledger, len(m.ledgers)), settled: maps.Clone(m.settled),
		crashes: slices.Clone(m.crashes), waiting: maps.Clone(m.waiting), verdicts: maps.Clone(m.verdicts), keeper: m.keeperSeen, certs: m.certs, desk: m.desk.View(), tasks: m.tasks.View(), events: m.events, changed: make(chan struct{}),
	}
	for k, e := range m.envs {
		v.envs[k], v.versions[k] = e.value, e.version
		v.draining, v.holding = v.draining || rollout.Busy(e.value), v.holding || len(e.value.Hold) > 0
		v.pulls = v.pulls || rollout.Pulls(e.value, m.releasesIn(e.value))
	}
	for app, rels := range m.releases {
		v.releases[app] = maps.Clone(rels)
	}
	for id, in := range m.instances {
		v.instances[id] = seen{in.judged(), in.status}
	}
	for k, l := range m.ledgers {
		v.ledgers[k] = l.value
	}
	old := c.view.Swap(v)
	c.feed.Show(v.events) // behind the view: who is told of an event finds what it tells of
	if old == nil {
		close(c.ready)
	} else {
		close(old.changed)
		if old.table.Epoch == v.table.Epoch && (old.draining || !v.draining) {
			return
		}
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// see is the present view; it waits for the first one.
func (c *Control) see(ctx context.Context, op string) (*view, error) {
	select {
	case <-c.ready:
		return c.view.Load(), nil
	case <-ctx.Done():
		return nil, &semper.Error{Code: semper.Unavailable, Op: op, Message: "the control process has not read the store yet", Hint: "is the store up? semper doctor", Err: ctx.Err()}
	}
}
