package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/control/delivery"
	taskdesk "semper/control/tasks"
	"semper/rollout"
	"semper/supervise"
	"semper/task"
)

// Keys of the store.
const (
	keyTable    = "table"
	keyCounters = "counters"
	preEnv      = "env/"
	preRelease  = "release/"
	preEvent    = "event/"
	preCrash    = "crash/"
	preLedger   = "ledger/"
	preSettled  = "settled/"
)

// keepEvents and keepCrashes are how many of the newest stay in the store.
const (
	keepEvents  = 5000
	keepCrashes = 500
)

// counters give numbers that are never given twice.
type counters struct {
	Event   int64 `json:"event"`
	Crash   int64 `json:"crash"`
	Rollout int64 `json:"rollout"`
	Run     int64 `json:"run,omitempty"`
	Task    int64 `json:"task,omitempty"`
}

type stored[T any] struct {
	value   T
	version int64
}

// model is everything the process that leads knows. Only that process touches it.
type model struct {
	ctx        context.Context // ends when the process is to end
	hands      hands
	store      semper.Store
	leadership semper.Leadership

	// as stored
	envs     map[semper.EnvironmentKey]stored[semper.Environment]
	releases map[string]map[semper.ReleaseName]semper.Release // by app
	table    stored[semper.Table]
	counters stored[counters]
	crashes  []semper.CrashReport // oldest first
	settled  map[string]bool      // books counted into ledgers
	ledgers  map[LedgerKey]stored[semper.Ledger]
	events   []semper.Event // the newest, oldest first

	// as observed
	loaded     time.Time // when the model was read from the store
	keeperSeen bool
	instances  map[semper.InstanceID]*instance
	staged     map[semper.Digest]error
	edges      []semper.EdgeState
	desks      []semper.EdgeState // of queue processes
	certs      []api.Certificate  // nil: nothing is known yet
	waiting    map[semper.EnvironmentKey]string
	verdicts   map[semper.EnvironmentKey]semper.Verdict // the newest of the judge, of whichever rollout

	desk     *delivery.Desk
	tasks    *taskdesk.Desk
	resolved map[semper.EnvironmentKey]map[semper.ReleaseName]semper.Release // releases as they are in environments

	doing map[string]bool // commands being performed, by name
}

// hands do what takes long for the model, each piece in a child of its own.
type hands interface {
	// do starts a child. An error says that none runs and none will.
	do(spec supervise.ChildSpec) error
	// tell gives the model news from a child, unless ctx or the model has ended.
	tell(ctx context.Context, what string, take func(*model))
}

// close ends the probers.
func (m *model) close() {
	for _, in := range m.instances {
		in.stopProbe()
	}
}

// load reads the model from the store.
func (c *Control) load(ctx context.Context, l semper.Leadership, h hands) (*model, error) {
	m := &model{
		ctx: ctx, hands: h, store: c.o.Store, leadership: l, loaded: time.Now(),
		envs: make(map[semper.EnvironmentKey]stored[semper.Environment]), releases: make(map[string]map[semper.ReleaseName]semper.Release),
		settled: make(map[string]bool), ledgers: make(map[LedgerKey]stored[semper.Ledger]),
		instances: make(map[semper.InstanceID]*instance), staged: make(map[semper.Digest]error),
		waiting: make(map[semper.EnvironmentKey]string), verdicts: make(map[semper.EnvironmentKey]semper.Verdict), doing: make(map[string]bool), desk: delivery.New(c.o.Keys), tasks: taskdesk.New(), resolved: make(map[semper.EnvironmentKey]map[semper.ReleaseName]semper.Release),
	}
	items, _, err := c.o.Store.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if err := m.put(it); err != nil {
			return nil, &semper.Error{Code: semper.Internal, Op: "read " + it.Key, Err: err, Hint: "the stored value is not what this version of semper writes; was a newer one used before?"}
		}
	}
	slices.SortFunc(m.crashes, func(a, b semper.CrashReport) int { return a.At.Compare(b.At) })
	m.desk.Loaded()
	return m, nil
}

// put takes one stored item into the model.
func (m *model) put(it semper.Item) error {
	switch {
	case it.Key == keyTable:
		m.table.version = it.Version
		return json.Unmarshal(it.Value, &m.table.value)
	case it.Key == keyCounters:
		m.counters.version = it.Version
		return json.Unmarshal(it.Value, &m.counters.value)
	case strings.HasPrefix(it.Key, preEnv):
		var e semper.Environment
		err := json.Unmarshal(it.Value, &e)
		m.envs[e.Key()] = stored[semper.Environment]{e, it.Version}
		return err
	case strings.HasPrefix(it.Key, preRelease):
		var r semper.Release
		err := json.Unmarshal(it.Value, &r)
		m.addRelease(r)
		return err
	case strings.HasPrefix(it.Key, preEvent):
		var e semper.Event
		err := json.Unmarshal(it.Value, &e)
		m.events = append(m.events, e)
		return err
	case strings.HasPrefix(it.Key, preCrash):
		var r semper.CrashReport
		err := json.Unmarshal(it.Value, &r)
		m.crashes = append(m.crashes, r)
		return err
	case strings.HasPrefix(it.Key, preLedger):
		var l semper.Ledger
		app, rel, _ := strings.Cut(strings.TrimPrefix(it.Key, preLedger), "/")
		err := json.Unmarshal(it.Value, &l)
		m.ledgers[LedgerKey{app, semper.ReleaseName(rel)}] = stored[semper.Ledger]{l, it.Version}
		return err
	case strings.HasPrefix(it.Key, preSettled):
		m.settled[strings.TrimPrefix(it.Key, preSettled)] = true
	default:
		if taken, err := m.tasks.Put(it); taken {
			return err
		}
		return m.desk.Put(it) // what other roles store is not control's
	}
	return nil
}

func (m *model) addRelease(r semper.Release) {
	if m.releases[r.App] == nil {
		m.releases[r.App] = make(map[semper.ReleaseName]semper.Release)
	}
	m.releases[r.App][r.Name()] = r
}

func (m *model) envKeys() []semper.EnvironmentKey { return slices.Sorted(maps.Keys(m.envs)) }

// world is what Step may know of env.
func (m *model) world(key semper.EnvironmentKey, now time.Time) rollout.World {
	env := m.envs[key].value
	w := rollout.World{
		Now: now, Instances: make(map[semper.InstanceID]rollout.Instance), Staged: m.staged,
		InFlight: make(map[semper.InstanceID]semper.InFlight), NextEpoch: m.table.value.Epoch + 1, Releases: m.releasesIn(env),
	}
	if v, ok := m.verdicts[key]; ok && env.Rollout != nil && v.Rollout == env.Rollout.ID {
		w.Verdict = &v
	}
	for id, in := range m.instances {
		if in.status.Spec.App == env.App && in.status.Spec.Environment == env.Name && !ofGate(in.status.Spec) && task.IDOf(id) == "" {
			w.Instances[id] = in.judged()
		}
	}
	for i, e := range m.givers(env, w.Releases) {
		if i == 0 || e.Epoch < w.Acked {
			w.Acked = e.Epoch
		}
		for id, f := range e.InFlight {
			sum := semper.InFlight{}
			maps.Copy(sum, w.InFlight[id])
			for class, n := range f {
				sum[class] += n
			}
			w.InFlight[id] = sum
		}
	}
	return w
}

// givers are who gives env's instances their work: edges, and queue processes where some ask for jobs. While one of the two kinds
// does not answer, nothing is known of what they acknowledge.
func (m *model) givers(env semper.Environment, releases map[semper.ReleaseName]semper.Release) []semper.EdgeState {
	switch {
	case !rollout.Pulls(env, releases):
		return m.edges
	case len(m.edges) == 0 || len(m.desks) == 0:
		return nil
	}
	return slices.Concat(m.edges, m.desks)
}

// change gathers one transaction.
type change struct {
	m      *model
	now    time.Time
	envs   map[semper.EnvironmentKey]semper.Environment
	table  *semper.Table
	events []semper.Event
	rel    *semper.Release
	crash  []semper.CrashReport
	ledger map[LedgerKey]semper.Ledger
	books  []string
	desk   *delivery.Change
	tasks  *taskdesk.Change // nil for none
	count  counters
}

func (m *model) newChange(now time.Time) *change {
	return &change{m: m, now: now, envs: make(map[semper.EnvironmentKey]semper.Environment), desk: m.desk.Change(), count: m.counters.value}
}

func (t *change) setEnv(e semper.Environment) { t.envs[e.Key()] = e }

func (t *change) empty() bool {
	return len(t.envs) == 0 && t.table == nil && len(t.events) == 0 && t.rel == nil && len(t.crash) == 0 && len(t.ledger) == 0 && t.desk.Empty() && t.tasks.Empty()
}

func (t *change) env(key semper.EnvironmentKey) semper.Environment {
	if e, ok := t.envs[key]; ok {
		return e
	}
	return t.m.envs[key].value
}

// route derives the route table that follows from the change. A cutover always has an epoch of its
// own, even where the routes happen to be the same.
func (t *change) route() {
	sites := make([]rollout.Site, 0, len(t.m.envs))
	moved := false
	next := t.m.table.value.Epoch + 1
	for _, key := range t.m.envKeys() {
		e := t.env(key)
		sites = append(sites, rollout.Site{Env: e, Releases: t.m.releasesIn(e)})
		moved = moved || rollout.Moves(e, next)
	}
	table := rollout.Routes(sites, t.m.judged())
	if table.StickyKey = t.m.table.value.StickyKey; table.StickyKey == nil {
		table.StickyKey = make([]byte, 32)
		rand.Read(table.StickyKey) //nolint:errcheck // it never fails
	}
	if !moved && rollout.SameStored(table, t.m.table.value) {
		return
	}
	table.Epoch = next
	t.table = &table
}

func (m *model) judged() map[semper.InstanceID]rollout.Instance {
	out := make(map[semper.InstanceID]rollout.Instance, len(m.instances))
	for id, in := range m.instances {
		out[id] = in.judged()
	}
	return out
}

// commit stores t, and takes it into the model once it is stored.
func (m *model) commit(t change) error {
	txn := semper.Txn{If: []semper.Condition{m.leadership.Fence(), {Key: keyCounters, Version: m.counters.version}}}
	put := func(key string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("control: %s does not marshal: %v", key, err))
		}
		txn.Then = append(txn.Then, semper.Write{Key: key, Value: b})
	}
	for _, key := range slices.Sorted(maps.Keys(t.envs)) {
		txn.If = append(txn.If, semper.Condition{Key: preEnv + string(key), Version: m.envs[key].version})
		put(preEnv+string(key), t.envs[key])
	}
	if t.rel != nil {
		key := fmt.Sprintf("%s%s/%d", preRelease, t.rel.App, t.rel.Number)
		txn.If = append(txn.If, semper.Condition{Key: key})
		put(key, t.rel)
	}
	if t.table != nil {
		txn.If = append(txn.If, semper.Condition{Key: keyTable, Version: m.table.version})
		put(keyTable, t.table)
	}
	txn.If, txn.Then = append(txn.If, t.desk.If...), append(txn.Then, t.desk.Then...)
	if t.tasks != nil {
		txn.If, txn.Then = append(txn.If, t.tasks.If...), append(txn.Then, t.tasks.Then...)
	}
	t.number(put, &txn)
	put(keyCounters, t.count)
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Second)
	defer cancel()
	rev, err := m.store.Commit(ctx, txn)
	if err != nil {
		return m.recover(txn, err)
	}
	m.apply(t, rev)
	m.tasks.Apply(t.tasks, rev)
	return m.desk.Apply(t.desk, rev)
}

// number gives events, crashes and ledgers their keys.
func (t *change) number(put func(string, any), txn *semper.Txn) {
	for i := range t.events {
		t.count.Event++
		t.events[i].Seq = t.count.Event
		put(eventKey(t.count.Event), t.events[i])
		if old := t.count.Event - keepEvents; old > 0 {
			txn.Then = append(txn.Then, semper.Write{Key: eventKey(old), Delete: true})
		}
	}
	for _, r := range t.crash {
		put(preCrash+r.ID, r)
		if n := len(t.m.crashes) - keepCrashes; n > 0 {
			txn.Then = append(txn.Then, semper.Write{Key: preCrash + t.m.crashes[0].ID, Delete: true})
		}
	}
	for key, l := range t.ledger {
		put(preLedger+key.App+"/"+string(key.Release), l)
	}
	for _, b := range t.books {
		put(preSettled+b, true)
	}
}

func eventKey(seq int64) string { return fmt.Sprintf("%s%016d", preEvent, seq) }

// recover finds out whether a transaction whose answer was lost was applied, by reading what it
// would have written. A conflict means somebody else leads: the leadership's end follows.
func (m *model) recover(txn semper.Txn, cause error) error {
	ctx, cancel := context.WithTimeout(m.ctx, 2*time.Second)
	defer cancel()
	it, err := m.store.Get(ctx, keyCounters)
	if err != nil || it.Version == m.counters.version {
		return cause
	}
	for _, w := range txn.Then {
		if w.Key == keyCounters && !bytes.Equal(w.Value, it.Value) {
			return cause
		}
	}
	items, _, err := m.store.List(ctx, "")
	if err != nil {
		return cause
	}
	m.crashes, m.events = nil, nil
	m.desk.Reset()
	m.tasks.Reset()
	for _, it := range items {
		if err := m.put(it); err != nil {
			return err
		}
	}
	m.desk.Loaded()
	return nil
}

// apply takes a stored change into the model.
func (m *model) apply(t change, rev int64) {
	for key, e := range t.envs {
		m.envs[key] = stored[semper.Environment]{e, rev}
	}
	if t.rel != nil {
		m.addRelease(*t.rel)
	}
	if t.table != nil {
		m.table = stored[semper.Table]{*t.table, rev}
	}
	m.counters = stored[counters]{t.count, rev}
	m.events = append(m.events, t.events...)
	if n := len(m.events) - keepEvents; n > 0 {
		m.events = slices.Clone(m.events[n:])
	}
	if len(t.crash) > 0 && len(m.crashes) > keepCrashes {
		m.crashes = m.crashes[1:]
	}
	m.crashes = append(m.crashes, t.crash...)
	for key, l := range t.ledger {
		m.ledgers[key] = stored[semper.Ledger]{l, rev}
	}
	for _, b := range t.books {
		m.settled[b] = true
	}
}
