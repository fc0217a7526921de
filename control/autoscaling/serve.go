package autoscaling

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"semper"
	"semper/api"
	"semper/autoscale"
	"semper/autoscale/waking"
	"semper/control/queues"
	"semper/internal/pause"
	"semper/rollout"
)

const (
	// every is how often services are looked at, and patience how long edges and queues have to answer.
	every    = time.Second
	patience = time.Second
	// least is how soon a service may be looked at again though somebody waits for one.
	least = 20 * time.Millisecond
	// retry is how soon the environments are asked for again before they are known.
	retry = 200 * time.Millisecond
)

// A World is the environments as the model has them now.
type World struct {
	Environments map[semper.EnvironmentKey]semper.Environment
	Releases     map[string]map[semper.ReleaseName]semper.Release // by app
	// Ready reports whether an instance is.
	Ready func(semper.InstanceID) bool
	// Changed is closed when there is a newer one.
	Changed <-chan struct{}
}

// A Term is what services are scaled with while a process leads.
type Term struct {
	Log *slog.Logger
	// Look is the world; false before it is known.
	Look func() (World, bool)
	// States of every edge.
	States func(ctx context.Context) ([]semper.EdgeState, error)
	// Desks are the queue processes that instances ask for jobs, and what those have.
	Desks func(ctx context.Context) ([]semper.EdgeState, error)
	// Sleepers are the services that may sleep, by every edge together; with wait, as soon as somebody waits for one or ctx ends.
	Sleepers func(ctx context.Context, wait bool) (map[semper.PoolKey]waking.Told, error)
	Queues   queues.Engine // nil: there are none
	// Resize has an environment's services get other numbers of instances. What edges have just said goes with it.
	Resize func(ctx context.Context, env semper.EnvironmentKey, to map[string]rollout.Resizing, said []semper.EdgeState)
}

// A Seat knows what was decided last, if its process leads. The zero Seat is empty. It is safe for concurrent use.
type Seat struct {
	infos atomic.Pointer[map[semper.EnvironmentKey][]api.Scaling]
}

// Of are the services of an environment that are scaled by themselves, by name.
func (s *Seat) Of(env semper.EnvironmentKey) []api.Scaling {
	return s.All()[env]
}

// All are those of every environment.
func (s *Seat) All() map[semper.EnvironmentKey][]api.Scaling {
	if all := s.infos.Load(); all != nil {
		return *all
	}
	return nil
}

// Serve scales services until ctx ends.
func (s *Seat) Serve(ctx context.Context, t Term) error {
	l := &scaler{Term: t, known: make(map[semper.PoolKey]*known)}
	defer s.infos.Store(nil)
	for ctx.Err() == nil {
		w, ok := t.Look()
		if !ok {
			pause.For(ctx, retry)
			continue
		}
		services := targets(w)
		infos := l.look(ctx, services)
		s.infos.Store(&infos)
		if len(services) > 0 {
			l.rest(ctx, services)
			continue
		}
		select {
		case <-w.Changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// A scaler has seen what it has seen. It belongs to the goroutine of Serve.
type scaler struct {
	Term
	known map[semper.PoolKey]*known
}

// known is what was seen of one service.
type known struct {
	of       semper.ReleaseName // whose policy it was seen under
	state    autoscale.State
	asked    uint64 // by all edges
	counted  bool   // asked is a count
	decision autoscale.Decision
}

// look looks at all services once, and has those changed that need it.
func (l *scaler) look(ctx context.Context, services []target) map[semper.EnvironmentKey][]api.Scaling {
	infos := make(map[semper.EnvironmentKey][]api.Scaling)
	if len(services) == 0 {
		clear(l.known)
		return infos
	}
	seen := l.see(ctx, services)
	now := time.Now()
	kept := make(map[semper.PoolKey]*known, len(services))
	resize := make(map[semper.EnvironmentKey]map[string]rollout.Resizing)
	for i := range services {
		t := &services[i]
		k := l.known[t.pool]
		if k == nil || k.of != t.release {
			k = &known{of: t.release}
		}
		kept[t.pool] = k
		info := t.info()
		if !t.byHand {
			sig := seen.signals(t, k)
			k.state, k.decision = k.state.Step(t.policy, sig, now)
			if d := k.decision; d.Want != t.placed {
				if resize[t.env.Key()] == nil {
					resize[t.env.Key()] = make(map[string]rollout.Resizing)
				}
				resize[t.env.Key()][t.service] = rollout.Resizing{From: t.placed, To: d.Want, Why: d.Why}
			}
			info.Want, info.Need, info.Why, info.Load = k.decision.Want, k.decision.Need, k.decision.Why, k.decision.Load
			info.Idle = semper.Duration(k.state.IdleFor(now).Truncate(time.Second))
		}
		infos[t.env.Key()] = append(infos[t.env.Key()], info)
	}
	l.known = kept
	for env, to := range resize {
		l.Resize(ctx, env, to, seen.states)
	}
	return infos
}

// rest waits for the next look: for a moment, or until somebody waits for a service that sleeps.
func (l *scaler) rest(ctx context.Context, services []target) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	for i := range services {
		if services[i].placed > 0 || services[i].byHand {
			continue
		}
		pause.For(ctx, least)
		told, err := l.Sleepers(ctx, true)
		for j := range services {
			if t := &services[j]; err == nil && t.placed == 0 && !t.byHand && told[t.pool].Waiting > 0 {
				return
			}
		}
		break
	}
	<-ctx.Done()
}
