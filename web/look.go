package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"semper"
	"semper/api"
)

// How many of the newest a page shows; the CLI shows all.
const (
	shownEvents  = 20
	shownCrashes = 8
	listedEvents = 500
)

// A look is what a page shows, read at one moment. Env and App are empty for the page of all apps.
// A part that could not be read has its error instead: one part's absence takes no other from the page.
type look struct {
	App, Env       string
	Envs           []api.Status // exactly one on an app's page
	Rates          map[semper.EnvironmentKey]rates
	Traffic        []api.TrafficRow // of an app's page, newest release first
	Tree           api.TreeNode
	TreeErr        error
	Releases       []api.ReleaseInfo // newest first
	ReleasesErr    error
	Experiments    []api.ExperimentInfo // of an app's page
	ExperimentsErr error
	Crashes        []semper.CrashReport // newest first
	CrashesErr     error
	Events         []semper.Event // newest first
	EventsErr      error
	Queues         []queueRow
	QueuesErr      error
	Queue          *queueLook // of a queue's page
	Info           api.ServerInfo
	Pipelines      []api.PipelineStatus
	PipelinesErr   error
	Caller         api.Caller // who looks
	Problem        error      // why the rest is not of this moment
}

// Status is the environment of an app's page.
func (l *look) Status() api.Status {
	if len(l.Envs) == 0 {
		return api.Status{App: l.App, Environment: l.Env}
	}
	return l.Envs[0]
}

// mine are the environments this page is about.
func (l *look) mine(all []api.Status) []api.Status {
	if l.App == "" {
		return all
	}
	i := slices.IndexFunc(all, func(s api.Status) bool { return s.App == l.App && s.Environment == l.Env })
	if i < 0 {
		return nil
	}
	return all[i : i+1]
}

// statuses brings Envs up to now.
func (u *ui) statuses(ctx context.Context, l *look, fresh bool) error {
	o, err := u.glance.overview(ctx, fresh)
	if err != nil {
		return err
	}
	envs := l.mine(o.Environments)
	if l.App != "" && len(envs) == 0 {
		return &semper.Error{
			Code: semper.NotFound, Message: fmt.Sprintf("no app %q in environment %q", l.App, l.Env), Hint: "the overview lists what there is",
		}
	}
	l.Envs = envs
	if l.App != "" {
		u.traffic(ctx, l)
	}
	return nil
}

// traffic brings Traffic up to now. Where edges do not say what they do, the page shows the ledger alone.
func (u *ui) traffic(ctx context.Context, l *look) {
	t, err := u.s.Traffic(ctx, l.App, l.Env)
	if err != nil {
		t = api.Traffic{}
	}
	l.Traffic = slices.Clone(t.Rows)
	slices.SortStableFunc(l.Traffic, func(a, b api.TrafficRow) int {
		return cmp.Or(cmp.Compare(b.Release.Number(), a.Release.Number()), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Arm, b.Arm))
	})
}

// parts brings everything but Envs and Events up to now.
func (u *ui) parts(ctx context.Context, l *look) {
	if info, err := u.s.Info(ctx); err == nil {
		l.Info = info // it changes only with the server: the last known one stays right
	}
	u.pipelines(ctx, l)
	l.Tree, l.TreeErr = u.s.Tree(ctx)
	l.Crashes, l.CrashesErr = u.s.Crashes(ctx, l.App)
	l.Crashes = slices.DeleteFunc(slices.Clone(l.Crashes), func(c semper.CrashReport) bool { return !l.concerns(c.App, c.Environment) })
	l.Crashes = l.Crashes[:min(len(l.Crashes), shownCrashes)]
	if l.App != "" {
		l.Releases, l.ReleasesErr = u.s.Releases(ctx, l.App)
		l.Experiments, l.ExperimentsErr = u.s.Experiments(ctx, l.App, l.Env)
		l.Tree = ofInstances(l.Tree, l.Status().Instances)
	}
}

// concerns reports whether something about an app's environment belongs on this page. What names no
// environment concerns all of the app.
func (l *look) concerns(app, env string) bool {
	return l.App == "" || (app == l.App && (env == "" || env == l.Env))
}

// remember adds a new event.
func (l *look) remember(e semper.Event) {
	if !l.concerns(e.App, e.Environment) {
		return
	}
	l.Events = slices.Insert(l.Events, 0, e)
	l.Events = l.Events[:min(len(l.Events), shownEvents)]
}

// past reads the newest n events that concern l, and the Seq of the newest of all.
func (u *ui) past(ctx context.Context, l *look, n int) (last int64) {
	ch, err := u.s.Events(ctx, l.App, 0, false)
	if err != nil {
		l.EventsErr = err
		return 0
	}
	var found []semper.Event
	for e := range ch {
		last = e.Seq
		if l.concerns(e.App, e.Environment) {
			found = append(found, e)
		}
	}
	found = found[max(0, len(found)-n):]
	slices.Reverse(found)
	l.Events, l.EventsErr = found, ctx.Err()
	return last
}

// ofInstances is the part of the tree above the given instances.
func ofInstances(n api.TreeNode, instances []api.Instance) api.TreeNode {
	if n.Kind == api.NodeProcess {
		return n // with all that runs in it
	}
	n.Children = slices.Clone(n.Children)
	for i := range n.Children {
		n.Children[i] = ofInstances(n.Children[i], instances)
	}
	n.Children = slices.DeleteFunc(n.Children, func(c api.TreeNode) bool {
		if c.Kind != api.NodeProcess {
			return len(c.Children) == 0
		}
		return !slices.ContainsFunc(instances, func(in api.Instance) bool { return string(in.ID) == c.Name })
	})
	return n
}

// glanceAge is how long an overview serves other viewers too, so that looking costs the server the
// same however many look.
const glanceAge = 700 * time.Millisecond

// A glance is the newest overview. It is safe for concurrent use.
type glance struct {
	s api.Service

	mu   sync.Mutex // guards the following; held while the service is asked, so that one asks for all
	at   time.Time
	last api.Overview
}

// overview is not older than glanceAge, and read anew where fresh is set. Nobody alters what it returns.
func (g *glance) overview(ctx context.Context, fresh bool) (api.Overview, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !fresh && time.Since(g.at) < glanceAge {
		return g.last, nil
	}
	o, err := g.s.Overview(ctx)
	if err != nil {
		return api.Overview{}, err
	}
	slices.SortStableFunc(o.Environments, func(a, b api.Status) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Environment, b.Environment))
	})
	g.at, g.last = time.Now(), o
	return o, nil
}
