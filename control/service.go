package control

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/control/certificate"
	"semper/control/checks"
	"semper/control/prepare"
	"semper/rollout"
	"semper/task"
)

// Info is who this server is.
func (c *Control) Info(ctx context.Context) (api.ServerInfo, error) { return c.o.Keeper.Info(ctx) }

// Tree is the supervision tree as the keeper has it, with instances' states as judged here.
func (c *Control) Tree(ctx context.Context) (api.TreeNode, error) {
	n, err := c.o.Keeper.Tree(ctx)
	if err != nil {
		return n, err
	}
	if v := c.view.Load(); v != nil {
		judge(&n, v)
	}
	return n, nil
}

// judge goes no deeper than the processes: what is in them is named by their programs.
func judge(n *api.TreeNode, v *view) {
	if n.Kind == api.NodeProcess {
		if in, ok := v.instances[semper.InstanceID(n.Name)]; ok {
			n.State = string(in.State)
		}
		return
	}
	for i := range n.Children {
		judge(&n.Children[i], v)
	}
}

// HasArtifact reports whether the artifact is stored.
func (c *Control) HasArtifact(_ context.Context, d semper.Digest) (bool, error) {
	if !d.Valid() {
		return false, badDigest(d)
	}
	return c.o.Blobs.Has(d)
}

// PutArtifact stores an artifact's bytes; their digest must be d.
func (c *Control) PutArtifact(ctx context.Context, d semper.Digest, r io.Reader) error {
	if !d.Valid() {
		return badDigest(d)
	}
	return c.o.Blobs.Put(ctx, d, r)
}

func badDigest(d semper.Digest) error {
	return &semper.Error{Code: semper.Invalid, Op: "artifact", Message: fmt.Sprintf("%q is not a digest: sha256: and 64 hex digits", d)}
}

// Overview is every environment.
func (c *Control) Overview(ctx context.Context) (api.Overview, error) {
	v, err := c.see(ctx, "status")
	if err != nil {
		return api.Overview{}, err
	}
	live, err := c.liveLedgers(v)
	if err != nil {
		return api.Overview{}, err
	}
	out := api.Overview{Environments: []api.Status{}}
	for _, key := range slices.Sorted(maps.Keys(v.envs)) {
		out.Environments = append(out.Environments, c.status(v, v.envs[key], live))
	}
	return out, nil
}

// Status is one environment; app and env may be empty where that names exactly one.
func (c *Control) Status(ctx context.Context, app, env string) (api.Status, error) {
	v, err := c.see(ctx, "status")
	if err != nil {
		return api.Status{}, err
	}
	e, err := v.find(app, env)
	if err != nil {
		return api.Status{}, err
	}
	live, err := c.liveLedgers(v)
	if err != nil {
		return api.Status{}, err
	}
	return c.status(v, e, live), nil
}

// trafficWithin is how long edges have to say what they do: who watches asks again every second.
const trafficWithin = 2 * time.Second

// Traffic is what edges do now for an app and an environment; empty names all. Requests that have no route are nobody's, and
// told where no app is named.
func (c *Control) Traffic(ctx context.Context, app, env string) (api.Traffic, error) {
	v, err := c.see(ctx, "traffic")
	if err != nil {
		return api.Traffic{}, err
	}
	if app != "" || env != "" {
		if !v.has(app, env) {
			known := slices.Sorted(maps.Keys(v.envs))
			return api.Traffic{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no app %q in environment %q", app, env), Hint: fmt.Sprintf("deployed are: %v", known)}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, trafficWithin)
	defer cancel()
	t, err := c.o.Edges.Traffic(ctx)
	if err != nil {
		return api.Traffic{}, &semper.Error{Code: semper.Unavailable, Op: "traffic", Message: "no edge says what it does", Hint: "does an edge run? semper tree", Err: err}
	}
	t.Rows = slices.DeleteFunc(slices.Clone(t.Rows), func(r api.TrafficRow) bool {
		return app != "" && r.App != app || env != "" && r.Environment != env
	})
	return t, nil
}

// Metrics are what one edge tells a scrape. Where none is named, the checks of releases and the tasks come with it.
func (c *Control) Metrics(ctx context.Context, edge, accept string) (api.Exposition, error) {
	ctx, cancel := context.WithTimeout(ctx, trafficWithin)
	defer cancel()
	m, err := c.o.Edges.Metrics(ctx, edge, accept)
	v := c.view.Load()
	if err != nil || edge != "" || v == nil {
		return m, err
	}
	lines, err := v.desk.Pipelines("", func(semper.EnvironmentKey) semper.ReleaseName { return "" }, nil)
	return checks.Append(m, append(checks.Judged(v.envs, v.verdicts), checks.Gates(lines)...), v.tasks.Tasks("", "")), err
}

// has reports whether there is such an environment; empty is any.
func (v *view) has(app, env string) bool {
	for _, e := range v.envs {
		if (app == "" || e.App == app) && (env == "" || e.Name == env) {
			return true
		}
	}
	return false
}

// find is the environment named, or the only one there is.
func (v *view) find(app, env string) (semper.Environment, error) {
	return prepare.Find(v.envs, app, env)
}

// liveLedgers are the counters of the edges that are not settled yet.
func (c *Control) liveLedgers(v *view) (map[LedgerKey]semper.Ledger, error) {
	books, err := c.o.Ledgers.Read()
	if err != nil {
		return nil, err
	}
	sum := make(map[LedgerKey]semper.Ledger)
	for _, b := range books {
		if v.settled[b.Name] {
			continue
		}
		for key, l := range b.Counts {
			sum[key] = sum[key].Add(l)
		}
	}
	return sum, nil
}

// status puts together what is known of e.
func (c *Control) status(v *view, e semper.Environment, live map[LedgerKey]semper.Ledger) api.Status {
	s := api.Status{
		App: e.App, Environment: e.Name, Epoch: v.table.Epoch, Revision: v.versions[e.Key()], Hold: e.Hold,
		Instances: []api.Instance{}, Ledger: make(map[semper.ReleaseName]semper.Ledger), Edges: v.edges, Scale: map[string]int{}, Scaling: c.scale.Of(e.Key()),
	}
	if cur := e.Current; cur != nil {
		s.Release, s.Scale = cur.Release, cur.Scale
		s.Routes = v.releases[e.App][cur.Release].Spec.In(e.Name).Routes
	}
	if p := e.Previous; p != nil {
		s.Previous = p.Release
		if s.Warm = len(p.Instances) > 0; s.Warm && e.Current != nil {
			s.PinnedUntil = p.PinnedUntil
			s.WarmUntil = p.WarmSince().Add(v.releases[e.App][e.Current.Release].Spec.Warm.D())
		}
	}
	s.Rollout = prepare.Status(e, v.waiting[e.Key()], v.releases[e.App], v.verdicts)
	s.Instances = append(s.Instances, instances(v, e)...)
	s.Tasks, s.Crons = v.tasks.Status(e.App, e.Name), v.tasks.Crons(e.App, e.Name)
	for key, l := range v.ledgers {
		if key.App == e.App {
			s.Ledger[key.Release] = l
		}
	}
	for key, l := range live {
		if key.App == e.App {
			s.Ledger[key.Release] = s.Ledger[key.Release].Add(l)
		}
	}
	if !v.keeper {
		s.Warnings = append(s.Warnings, "the keeper is away: what runs goes on running, nothing is changed")
	}
	if len(v.edges) == 0 {
		s.Warnings = append(s.Warnings, "no edge answers")
	}
	s.Warnings = append(s.Warnings, certificate.Warnings(v.certs, v.table, e)...)
	return s
}

// instances are e's, the ones that should run first.
func instances(v *view, e semper.Environment) []api.Instance {
	role := make(map[semper.InstanceID]string)
	mark := func(p *semper.Placement, name string) {
		if p == nil {
			return
		}
		for _, u := range p.Instances {
			if role[u.ID] == "" {
				role[u.ID] = name
			}
		}
	}
	mark(e.Current, "current")
	if r := e.Rollout; r != nil && !r.State.Ended() {
		mark(rollout.Errand(r), "migration")
		due := r.Target
		due.Instances = rollout.Due(r)
		mark(&due, "candidate")
		if r.Trial != nil {
			mark(r.Trial.Baseline, "baseline")
		}
	}
	for _, p := range rollout.Compared(e) {
		mark(&p, "variant")
	}
	mark(e.Previous, "warm")
	for i := range e.Retiring {
		mark(&e.Retiring[i], "retiring")
	}
	var out []api.Instance
	for id, in := range v.instances {
		if in.status.Spec.App != e.App || in.status.Spec.Environment != e.Name || in.State == semper.Ended && role[id] == "" || task.IDOf(id) != "" {
			continue
		}
		out = append(out, instanceOf(v, in, cmp.Or(role[id], "retiring")))
		delete(role, id)
	}
	for id, r := range role { // named by a placement, not known to the keeper yet
		if r == "retiring" {
			continue
		}
		svc, rel := prepare.ParseInstance(id)
		out = append(out, api.Instance{ID: id, Service: svc, Release: rel, State: semper.Starting, Role: r})
	}
	slices.SortFunc(out, func(a, b api.Instance) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), naturally(string(a.ID), string(b.ID)))
	})
	return out
}

func instanceOf(v *view, in seen, role string) api.Instance {
	s := in.status
	out := api.Instance{
		ID: s.Spec.ID, Service: s.Spec.Service, Release: s.Spec.Release, State: in.State, Role: role, PID: s.PID,
		Address: s.Address, Restarts: s.Restarts, StartedAt: s.StartedAt, Reason: in.Why, Warning: s.Warning,
	}
	if s.Spec.Spec.Type == semper.Task {
		out.State, out.Reason = api.UnitState(in.State, s.LastEnd), ""
	}
	for _, e := range slices.Concat(v.edges, v.desks) {
		out.InFlight += e.InFlight[s.Spec.ID].Total()
	}
	return out
}

// naturally orders web.r9.1 before web.r10.1: shorter numbers are smaller.
func naturally(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// Hold makes requests wait at every edge; it returns once all of them do.
func (c *Control) Hold(ctx context.Context, app, env string, h api.HoldRequest) (semper.Epoch, error) {
	return c.setHold(ctx, "hold", app, env, func(rel semper.Release, now time.Time, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return rollout.BeginHold(e, rel, semper.Hold{Service: h.Service, Route: h.Route, Writes: h.Writes, By: h.By}, h.For.D(), now)
	})
}

// Resume lets held requests go on, paced, onto whatever is current.
func (c *Control) Resume(ctx context.Context, app, env string, h api.HoldRequest) (semper.Epoch, error) {
	return c.setHold(ctx, "resume", app, env, func(rel semper.Release, now time.Time, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return rollout.EndHold(e, rel, semper.Hold{Service: h.Service, Route: h.Route, By: h.By}, now)
	})
}

type holding func(semper.Release, time.Time, semper.Environment) (semper.Environment, []semper.Event, error)

func (c *Control) setHold(ctx context.Context, op, app, env string, do holding) (semper.Epoch, error) {
	if err := c.command(ctx, op, app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return do(m.current(e), t.now, e)
	}); err != nil {
		return 0, err
	}
	return c.acknowledged(ctx, op)
}

// acknowledged waits until every edge serves by the present table.
func (c *Control) acknowledged(ctx context.Context, op string) (semper.Epoch, error) {
	v, err := c.see(ctx, op)
	if err != nil {
		return 0, err
	}
	epoch := v.table.Epoch
	for {
		if len(v.edges) > 0 && !slices.ContainsFunc(v.edges, func(e semper.EdgeState) bool { return e.Epoch < epoch }) {
			return epoch, nil
		}
		select {
		case <-v.changed:
			v = c.view.Load()
		case <-ctx.Done():
			return epoch, &semper.Error{Code: semper.Timeout, Op: op, Message: fmt.Sprintf("not every edge has acknowledged epoch %d", epoch), Hint: "it is stored and will be acknowledged; semper status shows the edges", Err: ctx.Err()}
		}
	}
}

// command runs a user's command on one environment by the model and stores what it changes, with
// the route table and the events, in one transaction.
func (c *Control) command(ctx context.Context, op, app, env string, f func(*model, *change, semper.Environment) (semper.Environment, []semper.Event, error)) error {
	return c.ask(ctx, op, func(m *model) error {
		e, err := prepare.Find(m.environments(), app, env)
		if err != nil {
			return err
		}
		t := m.newChange(time.Now())
		next, events, err := f(m, t, e)
		if err != nil {
			return err
		}
		return c.store(m, t, next, events)
	})
}

// store commits next with what follows from it. Events none and environment unchanged: nothing to do.
func (c *Control) store(m *model, t *change, next semper.Environment, events []semper.Event) error {
	if len(events) == 0 {
		return nil
	}
	t.setEnv(next)
	t.events = append(t.events, events...)
	t.route()
	if err := m.commit(*t); err != nil {
		return unavailable(err)
	}
	c.publish(m)
	return nil
}

// unavailable says of a change that was not stored that nothing happened.
func unavailable(err error) error {
	return &semper.Error{Code: semper.Unavailable, Message: "the change was not stored: nothing was changed", Hint: "try again; semper doctor says what is wrong with the store", Err: err}
}
