package control

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/api"
)

// Logs sends the newest lines of every instance selected and, with Follow, the lines they print from
// then on, instances that start later included.
func (c *Control) Logs(ctx context.Context, q api.LogQuery) (<-chan api.LogLine, error) {
	v, err := c.see(ctx, "logs")
	if err != nil {
		return nil, err
	}
	e, err := v.find(q.App, q.Environment)
	if err != nil {
		var runs bool
		if e, runs = v.runsIn(q.App, q.Environment); !runs {
			return nil, err
		}
	}
	q.App, q.Environment, q.Tail = e.App, e.Name, cmp.Or(q.Tail, 100)
	out := make(chan api.LogLine)
	if err := c.stream(ctx, "logs", func(ctx context.Context) { c.logs(ctx, q, out) }); err != nil {
		return nil, err
	}
	return out, nil
}

// runsIn is the one environment named where something runs or has run, though nothing serves there yet: a gate does.
func (v *view) runsIn(app, env string) (e semper.Environment, only bool) {
	for _, in := range v.instances {
		s := in.status.Spec
		if app != "" && s.App != app || env != "" && s.Environment != env {
			continue
		}
		if one := (semper.Environment{App: s.App, Name: s.Environment}); e.App == "" || e.Key() == one.Key() {
			e = one
			continue
		}
		return semper.Environment{}, false
	}
	return e, e.App != ""
}

// logs owns out and every child that writes to it; it ends with ctx.
func (c *Control) logs(ctx context.Context, q api.LogQuery, out chan<- api.LogLine) {
	var wg sync.WaitGroup
	defer close(out)
	defer wg.Wait()
	following := make(map[semper.InstanceID]bool)
	for first := true; ; first = false {
		v := c.view.Load()
		for _, in := range selected(v, q) {
			if following[in.Spec.ID] {
				continue
			}
			following[in.Spec.ID] = true
			if !q.Follow {
				c.tail(ctx, in, q.Tail, out)
				continue
			}
			tail := q.Tail
			if !first {
				tail = 1 << 20 // it is new: everything it printed
			}
			wg.Add(1)
			if c.stream(ctx, "log of "+string(in.Spec.ID), func(ctx context.Context) {
				defer wg.Done()
				c.follow(ctx, in, tail, out)
			}) != nil {
				wg.Done() // the tree is ending, and ctx with it
			}
		}
		if !q.Follow {
			return
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return
		}
	}
}

func selected(v *view, q api.LogQuery) []semper.InstanceStatus {
	var out []semper.InstanceStatus
	for _, in := range v.instances {
		s := in.status.Spec
		switch {
		case s.App != q.App, s.Environment != q.Environment, q.Service != "" && s.Service != q.Service,
			q.Release != "" && string(s.Release) != q.Release,
			q.Instance != "" && string(s.ID) != q.Instance && !strings.HasSuffix(string(s.ID), "/"+q.Instance):
		default:
			out = append(out, in.status)
		}
	}
	slices.SortFunc(out, func(a, b semper.InstanceStatus) int { return naturally(string(a.Spec.ID), string(b.Spec.ID)) })
	return out
}

func (c *Control) tail(ctx context.Context, in semper.InstanceStatus, n int, out chan<- api.LogLine) {
	lines, err := c.o.Machine.Tail(in.LogPath, n)
	if err != nil {
		c.o.Log.Warn("output not read", "instance", in.Spec.ID, "error", err)
	}
	for _, l := range lines {
		select {
		case out <- api.LogLine{Instance: in.Spec.ID, Release: in.Spec.Release, Line: l}:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Control) follow(ctx context.Context, in semper.InstanceStatus, n int, out chan<- api.LogLine) {
	lines, err := c.o.Machine.Follow(ctx, in.LogPath, n)
	if err != nil {
		c.o.Log.Warn("output not followed", "instance", in.Spec.ID, "error", err)
		return
	}
	for l := range lines {
		select {
		case out <- api.LogLine{Instance: in.Spec.ID, Release: in.Spec.Release, Line: l}:
		case <-ctx.Done():
			return
		}
	}
}
