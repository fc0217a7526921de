package apitest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/api"
)

// Info implements [api.Service].
func (s *Semper) Info(context.Context) (api.ServerInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.ServerInfo{Version: semper.Version, Dir: "/var/lib/semper", HTTP: []string{":8080"}, API: []string{"unix:///var/lib/semper/api.sock"}, KeeperPID: 4000}, s.down
}

// Overview implements [api.Service].
func (s *Semper) Overview(context.Context) (api.Overview, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overviewLocked(), s.down
}

func (s *Semper) overviewLocked() api.Overview {
	var o api.Overview
	for _, k := range slices.Sorted(maps.Keys(s.envs)) {
		o.Environments = append(o.Environments, s.statusLocked(s.envs[k]))
	}
	return o
}

// Status implements [api.Service].
func (s *Semper) Status(_ context.Context, app, env string) (api.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return api.Status{}, err
	}
	return s.statusLocked(e), nil
}

// Traffic implements [api.Service].
func (s *Semper) Traffic(_ context.Context, app, env string) (api.Traffic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if app != "" {
		if _, err := s.findLocked(app, env); err != nil {
			return api.Traffic{}, err
		}
	}
	t := api.Traffic{At: s.traffic.At, Rows: []api.TrafficRow{}, Silent: s.traffic.Silent}
	for _, r := range s.traffic.Rows {
		if (app == "" || r.App == app) && (env == "" || r.Environment == env) {
			t.Rows = append(t.Rows, r)
		}
	}
	return t, s.down
}

// Metrics implements [api.Service].
func (s *Semper) Metrics(_ context.Context, edge, accept string) (api.Exposition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down != nil:
		return api.Exposition{}, s.down
	case edge != "" && edge != "edge-1":
		return api.Exposition{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no edge %q", edge)}
	}
	return api.Exposition{ContentType: "text/plain; version=0.0.4", Text: []byte("# " + accept + "\nsemper_edge_connections 1\n")}, nil
}

func (s *Semper) statusLocked(e *environment) api.Status {
	st := api.Status{
		App: e.App, Environment: e.Name, Epoch: s.epoch, Revision: e.revision, Hold: e.Hold,
		Instances: slices.Clone(e.instances), Ledger: maps.Clone(e.ledger), Routes: slices.Clone(e.spec.Routes), Scale: map[string]int{},
		WarmUntil: e.warmUntil(),
	}
	if e.Current != nil {
		st.Release, st.Scale = e.Current.Release, maps.Clone(e.Current.Scale)
	}
	if e.Previous != nil {
		st.Previous = e.Previous.Release
	}
	st.Warm = !st.WarmUntil.IsZero()
	s.stepTasksLocked()
	v := s.tasks.desk.View()
	st.Tasks, st.Crons = v.Status(e.App, e.Name), v.Crons(e.App, e.Name)
	if ro := e.Rollout; ro != nil {
		st.Rollout = &api.RolloutStatus{
			ID: ro.ID, Kind: ro.Kind, State: ro.State, Step: cmp.Or(words[ro.State], string(ro.State)), Reason: ro.Reason, From: ro.From, To: ro.To,
			By: ro.By, Epoch: ro.Epoch, StartedAt: ro.StartedAt, EndedAt: ro.EndedAt, Instance: ro.Instance, Tail: ro.Tail, Steps: ro.Steps,
			Trial: ro.Trial, Hotfix: ro.Hotfix,
		}
		if n := ro.To.Number(); ro.Trial != nil && n > 0 && n <= len(s.releases[e.App]) {
			st.Rollout.Way = s.releases[e.App][n-1].Spec.Deploy.Steps
		}
	}
	return st
}

// Hold implements [api.Service].
func (s *Semper) Hold(_ context.Context, app, env string, h api.HoldRequest) (semper.Epoch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return 0, err
	}
	now := s.clockLocked()
	begun := semper.Hold{Service: h.Service, Route: h.Route, Writes: h.Writes, Since: now, By: h.By}
	if h.For > 0 {
		begun.Until = now.Add(h.For.D())
	}
	s.epoch++
	e.Hold = append(slices.DeleteFunc(slices.Clone(e.Hold), sameTarget(h)), begun)
	s.eventLocked(semper.Event{Kind: "hold.begun", App: e.App, Environment: e.Name, Epoch: s.epoch, By: h.By, Message: "requests wait"})
	return s.epoch, nil
}

// Resume implements [api.Service].
func (s *Semper) Resume(_ context.Context, app, env string, h api.HoldRequest) (semper.Epoch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return 0, err
	}
	s.epoch++
	left := slices.DeleteFunc(slices.Clone(e.Hold), sameTarget(h))
	if h.Service == "" && h.Route == "" {
		left = nil
	}
	e.Hold = left
	s.eventLocked(semper.Event{Kind: "hold.ended", App: e.App, Environment: e.Name, Epoch: s.epoch, By: h.By, Message: "requests go on"})
	return s.epoch, nil
}

func sameTarget(h api.HoldRequest) func(semper.Hold) bool {
	return func(o semper.Hold) bool { return o.Service == h.Service && o.Route == h.Route }
}

// Releases implements [api.Service]: newest first.
func (s *Semper) Releases(_ context.Context, app string) ([]api.ReleaseInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, "")
	if err != nil {
		return nil, err
	}
	var l []api.ReleaseInfo
	for _, r := range slices.Backward(s.releases[e.App]) {
		i := api.ReleaseInfo{Release: r, Name: r.Name(), Size: s.artifacts[r.Artifact], Stored: true}
		switch {
		case e.Current != nil && e.Current.Release == r.Name():
			i.State = "current"
		case e.Previous != nil && e.Previous.Release == r.Name():
			i.State = "previous"
			if !e.warmUntil().IsZero() {
				i.State = "warm"
			}
		}
		l = append(l, i)
	}
	return l, nil
}

// ReleaseDiff implements [api.Service].
func (s *Semper) ReleaseDiff(_ context.Context, app string, from, to semper.ReleaseName) (api.ReleaseDiff, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, "")
	if err != nil {
		return api.ReleaseDiff{}, err
	}
	for _, n := range []semper.ReleaseName{from, to} {
		if n.Number() < 1 || n.Number() > len(s.releases[e.App]) {
			return api.ReleaseDiff{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no release %q", e.App, n), Hint: "semper release list"}
		}
	}
	return api.ReleaseDiff{From: from, To: to, Changes: s.diffLocked(e.App, from, to)}, nil
}

// GC implements [api.Service].
func (s *Semper) GC(_ context.Context, app string, keep int, dryRun bool) (api.GCReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, "")
	if err != nil {
		return api.GCReport{}, err
	}
	l := s.releases[e.App]
	rep := api.GCReport{DryRun: dryRun, Removed: []string{}}
	for i, r := range l {
		inUse := (e.Current != nil && e.Current.Release == r.Name()) || (e.Previous != nil && e.Previous.Release == r.Name())
		if size, ok := s.artifacts[r.Artifact]; ok && !inUse && i < len(l)-keep {
			rep.Removed = append(rep.Removed, string(r.Name()))
			rep.Bytes += size
			if !dryRun {
				delete(s.artifacts, r.Artifact)
			}
			continue
		}
		rep.Kept++
	}
	return rep, nil
}

// Tree implements [api.Service].
func (s *Semper) Tree(context.Context) (api.TreeNode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part := func(name string, pid int) api.TreeNode {
		return api.TreeNode{Name: name, Kind: api.NodeProcess, State: "running", PID: pid}
	}
	edge := part("edge-1", 3003)
	edge.Children = []api.TreeNode{{
		Name: "edge", Kind: api.NodeSupervisor, Strategy: "one_for_one", Intensity: "3 in 5s", Window: 1, State: "running",
		Children: []api.TreeNode{
			{Name: "table", Kind: api.NodeActor, State: "running", Process: "<7>", Messages: 812, Mailbox: 3, Restarts: 1, Reason: "crash: panic: no table"},
			{Name: "lanes", Kind: api.NodeSupervisor, Strategy: "simple_one_for_one", Intensity: "3 in 5s", State: "running", More: 4120},
		},
	}}
	root := api.TreeNode{
		Name: "semper keeper", Kind: "supervisor", Strategy: "one_for_one", Intensity: "10 in 1m0s", State: "running", PID: 4000,
		Children: []api.TreeNode{
			{
				Name: "system", Kind: "supervisor", Strategy: "one_for_one", Intensity: "10 in 1m0s", State: "running",
				Children: []api.TreeNode{part("store-1", 3001), part("control-1", 3002), edge},
			},
		},
	}
	for _, k := range slices.Sorted(maps.Keys(s.envs)) {
		node := api.TreeNode{Name: string(k), Kind: "supervisor", Strategy: "one_for_one", Intensity: "5 in 1m0s", State: "running"}
		for _, in := range s.envs[k].instances {
			node.Children = append(node.Children, api.TreeNode{
				Name: string(in.ID), Kind: "process", State: string(in.State), PID: in.PID, Restarts: in.Restarts, Reason: in.Reason, StartedAt: in.StartedAt,
			})
		}
		root.Children = append(root.Children, node)
	}
	return api.TreeNode{Name: "node test", Kind: api.NodeMachine, State: "running", Children: []api.TreeNode{root}}, s.down
}

// Crashes implements [api.Service]: newest first.
func (s *Semper) Crashes(_ context.Context, app string) ([]semper.CrashReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l []semper.CrashReport
	for _, c := range slices.Backward(s.crashes) {
		if app == "" || c.App == app {
			l = append(l, c)
		}
	}
	return l, s.down
}

// Crash implements [api.Service].
func (s *Semper) Crash(_ context.Context, id string) (semper.CrashReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.crashes {
		if c.ID == id {
			return c, s.down
		}
	}
	return semper.CrashReport{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no crash report %q", id), Hint: "semper crash list"}
}

// Events implements [api.Service].
func (s *Semper) Events(ctx context.Context, app string, after int64, follow bool) (<-chan semper.Event, error) {
	return tail(ctx, s, follow, &s.events, int(max(after, 0)), func(e semper.Event) bool { return app == "" || e.App == app })
}

// Logs implements [api.Service].
func (s *Semper) Logs(ctx context.Context, q api.LogQuery) (<-chan api.LogLine, error) {
	s.mu.Lock()
	_, err := s.findLocked(q.App, q.Environment)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return tail(ctx, s, q.Follow, &s.logs, 0, func(l api.LogLine) bool {
		return (q.Instance == "" || string(l.Instance) == q.Instance) && (q.Release == "" || string(l.Release) == q.Release)
	})
}

// tail sends the matching items of a growing list from index next on.
func tail[T any](ctx context.Context, s *Semper, follow bool, from *[]T, next int, match func(T) bool) (<-chan T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	end := len(*from)
	out := make(chan T)
	s.wg.Go(func() {
		defer close(out)
		for {
			var item T
			err := s.await(ctx, func() bool {
				if next < len(*from) && (follow || next < end) {
					item = (*from)[next]
					return true
				}
				return !follow
			})
			if err != nil || (!follow && next >= end) {
				return
			}
			next++
			if !match(item) {
				continue
			}
			select {
			case out <- item:
			case <-ctx.Done():
				return
			case <-s.ctx.Done():
				return
			}
		}
	})
	return out, nil
}

// Certificates implements [api.Service].
func (s *Semper) Certificates(context.Context) ([]api.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	return []api.Certificate{
		{Host: "bar.example", Source: "acme", NotAfter: end},
		{Host: "bar.localhost", Source: "local"},
		{
			Host: "new.example", Source: "local", Error: "HTTP 400 urn:ietf:params:acme:error:dns - no such name", Next: end,
			Advice: "the authority cannot resolve the name: it has to lead to this machine",
		},
	}, s.down
}

// Doctor implements [api.Service].
func (s *Semper) Doctor(context.Context) ([]api.Check, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []api.Check{
		{Name: "store", Status: "ok", Detail: "answers in 2ms"},
		{Name: "cgroups", Status: "warn", Detail: "not writable", Hint: "limits are not enforced; run as root or delegate a cgroup"},
	}, s.down
}

// Upgrade implements [api.Service].
func (s *Semper) Upgrade(ctx context.Context, binary string) (<-chan api.UpgradeStep, error) {
	if binary == "/nonexistent" {
		return nil, &semper.Error{Code: semper.Invalid, Message: "no such binary: /nonexistent"}
	}
	out := make(chan api.UpgradeStep)
	s.wg.Go(func() {
		defer close(out)
		for _, part := range []string{"keeper", "store", "control", "edge"} {
			select {
			case out <- api.UpgradeStep{Part: part, Status: "replaced"}:
			case <-ctx.Done():
				return
			}
		}
	})
	return out, nil
}

// SetSecret implements [api.Service].
func (s *Semper) SetSecret(_ context.Context, app, name string, value []byte, _ string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(value) == 0 {
		return 0, &semper.Error{Code: semper.Invalid, Message: "the secret is empty"}
	}
	if s.secrets[app] == nil {
		s.secrets[app] = map[string]int{}
	}
	s.secrets[app][name]++
	return s.secrets[app][name], s.down
}

// Secrets implements [api.Service].
func (s *Semper) Secrets(_ context.Context, app string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.secrets[app])), s.down
}
