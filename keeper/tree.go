package keeper

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/keeper/journal"
	"semper/supervise"
	"semper/unit/process"
)

// A group is the supervisor of one service of a release in an environment.
type group struct {
	limit supervise.Flags // its name is the group's
	sup   *supervise.Supervisor
}

// groupOf names the group an instance belongs to: "bar/production r42 web".
func groupOf(s semper.InstanceSpec) string {
	return fmt.Sprintf("%s/%s %s %s", s.App, s.Environment, s.Release, s.Service)
}

// limitOf is how many restarts m's supervisor allows.
func limitOf(r journal.Record) supervise.Flags {
	if r.Part != nil {
		return supervise.Flags{Name: "system", Intensity: 10, Period: time.Minute, GiveUp: supervise.Persist}
	}
	s := r.Instance.Spec
	return supervise.Flags{
		Name: groupOf(s), Intensity: s.Spec.Intensity.Restarts, Period: s.Spec.Intensity.Within.D(), GiveUp: supervise.Persist,
	}
}

// plant starts the tree with everything that should run.
func (k *keeper) plant(ctx context.Context) error {
	options := supervise.Options{Observe: k.observe}
	sub := func(name string, children func() []supervise.ChildSpec, set func(*supervise.Supervisor), flags supervise.Flags) supervise.ChildSpec {
		return supervise.ChildSpec{ID: name, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
			flags.Name = name
			s, err := supervise.Start(ctx, flags, children(), options)
			if err != nil {
				return nil, err
			}
			set(s)
			return s, nil
		}}
	}
	root, err := supervise.Start(ctx, supervise.Flags{Name: "root"}, []supervise.ChildSpec{
		sub("system", k.systemSpecs, func(s *supervise.Supervisor) { k.system = s }, limitOf(journal.Record{Part: &journal.Part{}})),
		sub("instances", func() []supervise.ChildSpec { return nil }, func(s *supervise.Supervisor) { k.instances = s }, supervise.Flags{}),
	}, options)
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "start the supervision tree", Err: err}
	}
	k.root = root
	return k.plantInstances(ctx)
}

// plantInstances hands every instance of the journal that runs or should to its supervisor.
func (k *keeper) plantInstances(ctx context.Context) error {
	k.mu.Lock()
	var wanted, leaving []*member
	for _, m := range k.members {
		if m.rec.Instance == nil || m.state == semper.Ended {
			continue
		}
		wanted = append(wanted, m)
		if m.rec.Desired == journal.Stop {
			leaving = append(leaving, m)
		}
	}
	k.mu.Unlock()
	for _, m := range wanted {
		if err := k.supervise(ctx, m); err != nil {
			return err
		}
	}
	for _, m := range leaving {
		k.goBackground(func() { k.end(m) })
	}
	return nil
}

// supervise puts m under its supervisor, which starts it (or takes over its adopted incarnation).
func (k *keeper) supervise(ctx context.Context, m *member) error {
	k.groupMu.Lock()
	defer k.groupMu.Unlock()
	name := m.limit.Name
	g := k.groups[name]
	if g == nil {
		g = &group{limit: m.limit}
		err := k.instances.StartChild(ctx, supervise.ChildSpec{
			ID: name, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
				s, err := supervise.Start(ctx, m.limit, nil, supervise.Options{Observe: k.observe})
				if err != nil {
					return nil, err
				}
				g.sup = s
				return s, nil
			},
		})
		if err != nil {
			return &semper.Error{Code: semper.Unavailable, Op: "start " + m.rec.Name, Err: err}
		}
		k.groups[name] = g
	}
	if err := g.sup.StartChild(ctx, k.spec(m)); err != nil {
		return &semper.Error{Code: semper.Unavailable, Op: "start " + m.rec.Name, Err: err}
	}
	return nil
}

// spec is how m is supervised.
func (k *keeper) spec(m *member) supervise.ChildSpec {
	spec := supervise.ChildSpec{
		ID:    m.rec.Name,
		Start: func(ctx context.Context) (supervise.Child, error) { return k.incarnate(ctx, m), nil },
	}
	if m.rec.Desired == journal.Stop {
		spec.Restart = supervise.Temporary
	}
	if part := m.rec.Part; part != nil {
		spec.Shutdown = partShutdown(part.Kind)
		spec.Backoff = supervise.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second, Factor: 2, Reset: 10 * time.Second}
		return spec
	}
	s := m.rec.Instance.Spec.Spec
	spec.Backoff = backoff(s.Backoff)
	spec.Shutdown = s.Stop.Timeout.D()
	switch {
	case s.Restart == semper.Temporary:
		spec.Restart = supervise.Temporary
	case s.Restart == semper.Transient && spec.Restart == supervise.Permanent:
		spec.Restart = supervise.Transient
	}
	return spec
}

// prune ends m's group if m was the last of it.
func (k *keeper) prune(ctx context.Context, m *member) {
	k.groupMu.Lock()
	defer k.groupMu.Unlock()
	g := k.groups[m.limit.Name]
	if g == nil || len(g.sup.Children()) > 0 {
		return
	}
	delete(k.groups, g.limit.Name)
	if err := k.instances.TerminateChild(ctx, g.limit.Name); err == nil {
		_ = k.instances.DeleteChild(ctx, g.limit.Name) // it has ended: only its name is left
	}
}

// options is how to start the next incarnation of m.
func (k *keeper) options(ctx context.Context, m *member) (process.Options, error) {
	if m.rec.Part != nil {
		return k.partOptions(m)
	}
	return k.instanceOptions(ctx, m)
}
