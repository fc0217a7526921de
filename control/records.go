package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/control/certificate"
	"semper/control/prepare"
	"semper/rollout"
)

// Releases of an app, newest first.
func (c *Control) Releases(ctx context.Context, app string) ([]api.ReleaseInfo, error) {
	v, err := c.see(ctx, "release list")
	if err != nil {
		return nil, err
	}
	if app, err = v.app(app); err != nil {
		return nil, err
	}
	out := []api.ReleaseInfo{}
	for name, rel := range v.releases[app] {
		info := api.ReleaseInfo{Release: rel, Name: name, State: v.stateOf(app, name)}
		if info.Stored, err = c.o.Blobs.Has(rel.Artifact); err != nil {
			return nil, err
		}
		if info.Stored {
			if info.Size, err = c.o.Blobs.Size(rel.Artifact); err != nil {
				return nil, err
			}
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b api.ReleaseInfo) int { return b.Number - a.Number })
	return out, nil
}

// app is the app named, or the only one there is.
func (v *view) app(name string) (string, error) {
	return prepare.App(slices.Sorted(maps.Keys(v.releases)), name)
}

// stateOf says in which roles environments have the release.
func (v *view) stateOf(app string, name semper.ReleaseName) string {
	var roles []string
	for _, key := range slices.Sorted(maps.Keys(v.envs)) {
		e := v.envs[key]
		if e.App != app {
			continue
		}
		in := ""
		if e.Name != semper.DefaultEnvironment {
			in = " in " + e.Name
		}
		switch {
		case e.Current != nil && e.Current.Release == name:
			roles = append(roles, "current"+in)
		case e.Previous != nil && e.Previous.Release == name && len(e.Previous.Instances) > 0:
			roles = append(roles, "warm"+in)
		case e.Previous != nil && e.Previous.Release == name:
			roles = append(roles, "previous"+in)
		case e.Rollout != nil && !e.Rollout.State.Ended() && e.Rollout.To == name:
			roles = append(roles, "candidate"+in)
		case slices.ContainsFunc(rollout.Compared(e), func(p semper.Placement) bool { return p.Release == name }):
			roles = append(roles, "variant"+in)
		}
	}
	return strings.Join(roles, ", ")
}

// ReleaseDiff is what differs from one release to another; from empty means the one before to.
func (c *Control) ReleaseDiff(ctx context.Context, app string, from, to semper.ReleaseName) (api.ReleaseDiff, error) {
	v, err := c.see(ctx, "release diff")
	if err != nil {
		return api.ReleaseDiff{}, err
	}
	if app, err = v.app(app); err != nil {
		return api.ReleaseDiff{}, err
	}
	m := model{releases: v.releases}
	b, err := m.release(app, to)
	if err != nil {
		return api.ReleaseDiff{}, err
	}
	var a semper.Release
	if from != "" {
		if a, err = m.release(app, from); err != nil {
			return api.ReleaseDiff{}, err
		}
	}
	d := api.ReleaseDiff{From: from, To: to, Changes: rollout.Diff(a, b)}
	if a.Artifact != "" && a.Artifact != b.Artifact {
		files, err := c.o.Blobs.Diff(ctx, a.Artifact, b.Artifact)
		if err != nil {
			return d, err
		}
		d.Changes = append(d.Changes, files...)
	}
	if d.Changes == nil {
		d.Changes = []string{}
	}
	return d, nil
}

// GC removes the artifacts no environment needs: all but those of the newest keep releases of each
// app and of every release an environment names.
func (c *Control) GC(ctx context.Context, app string, keep int, dryRun bool) (api.GCReport, error) {
	v, err := c.see(ctx, "release gc")
	if err != nil {
		return api.GCReport{}, err
	}
	if app != "" {
		if _, err := v.app(app); err != nil {
			return api.GCReport{}, err
		}
	}
	needed := make(map[semper.Digest]bool)
	for a, rels := range v.releases {
		names := slices.SortedFunc(maps.Keys(rels), func(x, y semper.ReleaseName) int { return y.Number() - x.Number() })
		for i, name := range names {
			if i < keep || a != app && app != "" || v.stateOf(a, name) != "" || v.runs(a, name) || v.tasks.Needs(a, name) {
				needed[rels[name].Artifact] = true
			}
		}
	}
	// What was uploaded a moment ago may belong to a deploy that is about to be made.
	removed, bytes, err := c.o.Blobs.GC(needed, time.Now().Add(-time.Hour), dryRun)
	if err != nil {
		return api.GCReport{}, err
	}
	out := api.GCReport{Removed: []string{}, Bytes: bytes, Kept: len(needed), DryRun: dryRun}
	for _, d := range removed {
		out.Removed = append(out.Removed, string(d))
	}
	return out, nil
}

// runs reports whether any instance of the release is known to the keeper.
func (v *view) runs(app string, name semper.ReleaseName) bool {
	for _, in := range v.instances {
		if in.status.Spec.App == app && in.status.Spec.Release == name && in.State != semper.Ended {
			return true
		}
	}
	return false
}

// Crashes are the crash reports of an app (of all, and of semper itself, where app is empty), newest first.
func (c *Control) Crashes(ctx context.Context, app string) ([]semper.CrashReport, error) {
	v, err := c.see(ctx, "crash list")
	if err != nil {
		return nil, err
	}
	out := []semper.CrashReport{}
	for _, r := range slices.Backward(v.crashes) {
		if app == "" || r.App == app {
			out = append(out, r)
		}
	}
	return out, nil
}

// Crash is one crash report; id may be "last".
func (c *Control) Crash(ctx context.Context, id string) (semper.CrashReport, error) {
	v, err := c.see(ctx, "crash show")
	if err != nil {
		return semper.CrashReport{}, err
	}
	for _, r := range slices.Backward(v.crashes) {
		if r.ID == id || id == "last" {
			return r, nil
		}
	}
	return semper.CrashReport{}, &semper.Error{Code: semper.NotFound, Op: "crash show", Message: fmt.Sprintf("no crash report %q", id), Hint: "semper crash list"}
}

// Events after a sequence number, then, where follow is set, each new one until ctx ends.
func (c *Control) Events(ctx context.Context, app string, after int64, follow bool) (<-chan semper.Event, error) {
	if _, err := c.see(ctx, "events"); err != nil {
		return nil, err
	}
	ch := make(chan semper.Event)
	if err := c.stream(ctx, "events", func(ctx context.Context) {
		defer close(ch)
		c.events(ctx, ch, app, after, follow)
	}); err != nil {
		return nil, err
	}
	return ch, nil
}

func (c *Control) events(ctx context.Context, ch chan<- semper.Event, app string, after int64, follow bool) {
	for {
		events, more := c.feed.After(after)
		for _, e := range events {
			after = e.Seq
			if app != "" && e.App != app {
				continue
			}
			select {
			case ch <- e:
			case <-ctx.Done():
				return
			}
		}
		if !follow {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

// SetSecret stores a new version of a secret. The value is in no event, only its name.
func (c *Control) SetSecret(ctx context.Context, app, name string, value []byte, by string) (int, error) {
	n, err := c.o.Secrets.Set(app, name, value)
	if err != nil {
		return 0, err
	}
	return n, c.happened(ctx, semper.Event{Kind: "secret.set", App: app, By: by, Message: fmt.Sprintf("secret %s has version %d", name, n)})
}

// happened stores an event of what is not the model's.
func (c *Control) happened(ctx context.Context, e semper.Event) error {
	return c.ask(ctx, e.Kind, func(m *model) error {
		t := m.newChange(time.Now())
		e.At = t.now
		t.events = []semper.Event{e}
		return c.keep(m, t)
	})
}

// Secrets are the names of an app's secrets with their newest versions: "database_url@3".
func (c *Control) Secrets(_ context.Context, app string) ([]string, error) {
	return c.o.Secrets.List(app)
}

// Upgrade replaces semper's own parts, this process included.
func (c *Control) Upgrade(ctx context.Context, binary string) (<-chan api.UpgradeStep, error) {
	return c.o.Keeper.Upgrade(ctx, binary)
}

// Doctor checks what a person would check first.
func (c *Control) Doctor(ctx context.Context) ([]api.Check, error) {
	out := c.o.Machine.Checks(ctx)
	start := time.Now()
	_, err := c.o.Store.Get(ctx, keyCounters)
	switch {
	case err != nil && semper.CodeOf(err) != semper.Internal:
		out = append(out, api.Check{Name: "store answers", Status: "fail", Detail: err.Error(), Hint: "what runs goes on running; semper crash list shows why the store ended"})
	default:
		out = append(out, api.Check{Name: "store answers", Status: "ok", Detail: fmt.Sprintf("a linearizable read took %s", time.Since(start).Round(time.Microsecond))})
	}
	if states, err := c.o.Edges.States(ctx); err != nil || len(states) == 0 {
		out = append(out, api.Check{Name: "edges", Status: "fail", Detail: "no edge answers", Hint: "semper crash list"})
	} else {
		out = append(out, api.Check{Name: "edges", Status: "ok", Detail: fmt.Sprintf("%d serving, epoch %d", len(states), states[0].Epoch)})
	}
	out = append(out, c.CheckQueues(ctx))
	v := c.view.Load()
	if v != nil {
		out = append(out, certificate.Checks(v.certs)...)
	}
	if v == nil || !v.keeper {
		out = append(out, api.Check{Name: "keeper connection", Status: "fail", Detail: "not connected", Hint: "start it: semper server run"})
	} else {
		out = append(out, api.Check{Name: "keeper connection", Status: "ok", Detail: fmt.Sprintf("%d instances", len(v.instances))})
	}
	return out, nil
}
