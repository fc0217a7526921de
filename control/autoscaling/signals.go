package autoscaling

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/autoscale"
	"semper/autoscale/waking"
	"semper/queue"
	"semper/rollout"
)

// A target is a service that is scaled by itself, or was until somebody gave a number.
type target struct {
	env     semper.Environment
	service string
	pool    semper.PoolKey
	release semper.ReleaseName
	policy  autoscale.Policy
	jobs    bool
	pulls   bool // its instances ask for their jobs
	byHand  bool

	placed, ready int
	instances     []semper.InstanceID // whatever serves it, those on trial too
}

// targets are the services to look at, by environment and name.
func targets(w World) []target {
	var out []target
	for _, env := range w.Environments {
		if env.Current == nil {
			continue
		}
		for name, svc := range w.Releases[env.App][env.Current.Release].Spec.In(env.Name).Services {
			p, ok := autoscale.Of(svc)
			if !ok {
				continue
			}
			t := target{
				env: env, service: name, pool: semper.NamePool(env.App, env.Name, name), release: env.Current.Release, policy: p, jobs: svc.Jobs != nil, pulls: svc.Pulls(),
				byHand: slices.Contains(env.Current.ByHand, name), placed: env.Current.Scale[name],
			}
			t.count(w)
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b target) int { return cmp.Compare(a.pool, b.pool) })
	return out
}

// count finds the service's instances. Those that lost their traffic are not its any more.
func (t *target) count(w World) {
	for _, p := range rollout.Placements(t.env) {
		current := p.Generation == t.env.Current.Generation
		for _, u := range p.Instances {
			if u.Service != t.service || !p.CutAt.IsZero() {
				continue
			}
			t.instances = append(t.instances, u.ID)
			if current && w.Ready(u.ID) {
				t.ready++
			}
		}
	}
	slices.Sort(t.instances)
	t.instances = slices.Compact(t.instances)
}

// held reports whether somebody, or a migration, has its requests wait.
func (t *target) held() bool {
	if r := t.env.Rollout; r != nil && (r.State == semper.RolloutHold || r.State == semper.RolloutMigrate || r.State == semper.RolloutUndo) {
		return true
	}
	return slices.ContainsFunc(t.env.Hold, func(h semper.Hold) bool { return h.Route == "" && (h.Service == "" || h.Service == t.service) })
}

func (t *target) info() api.Scaling {
	i := api.Scaling{App: t.env.App, Service: t.service, Need: t.placed, Min: t.policy.Min, Max: t.policy.Max, Now: t.placed, Ready: t.ready, Want: t.placed, ByHand: t.byHand}
	if t.byHand {
		i.Why = "somebody gave this number: it stays until the next deploy, or until semper scale " + t.service + "=auto"
	}
	return i
}

// seen is what edges and queues say at one look. What is nil is not known.
type seen struct {
	states   []semper.EdgeState
	desks    []semper.EdgeState
	sleepers map[semper.PoolKey]waking.Told
	queues   map[semper.PoolKey]*autoscale.Queue
}

// see asks everybody.
func (l *scaler) see(ctx context.Context, services []target) seen {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var s seen
	var err error
	if s.states, err = l.States(ctx); err != nil || len(s.states) == 0 {
		l.Log.Debug("edges do not tell what they have in flight; nothing is taken away", "error", err)
		s.states = nil
	}
	if slices.ContainsFunc(services, func(t target) bool { return t.policy.Min == 0 }) {
		if s.sleepers, err = l.Sleepers(ctx, false); err != nil {
			l.Log.Debug("edges do not tell who was asked for; nothing falls asleep", "error", err)
			s.sleepers = nil
		}
	}
	if slices.ContainsFunc(services, func(t target) bool { return t.pulls }) {
		if s.desks, err = l.Desks(ctx); err != nil || len(s.desks) == 0 {
			l.Log.Debug("queue processes do not tell who has jobs; no worker is taken away", "error", err)
			s.desks = nil
		}
	}
	s.queues = make(map[semper.PoolKey]*autoscale.Queue)
	for i := range services {
		if t := &services[i]; t.jobs && !t.byHand {
			s.queues[t.pool] = l.queue(ctx, t)
		}
	}
	return s
}

// queue is how the service's queue stands; nil where it does not say.
func (l *scaler) queue(ctx context.Context, t *target) *autoscale.Queue {
	if l.Queues == nil {
		return nil
	}
	q, err := l.Queues.Open(ctx, queue.Service{App: t.env.App, Environment: t.env.Name, Service: t.service}, queue.Policy{})
	if err != nil {
		l.Log.Debug("a queue does not open; its workers stay", "queue", t.pool, "error", err)
		return nil
	}
	st, err := q.Stats(ctx)
	if err != nil {
		l.Log.Debug("a queue does not tell how it stands; its workers stay", "queue", t.pool, "error", err)
		return nil
	}
	return &autoscale.Queue{Depth: st.Queued, Running: st.Running, Age: st.Age(time.Now()), Paused: st.Paused != nil}
}

// signals are those of one service.
func (s *seen) signals(t *target, k *known) autoscale.Signals {
	sig := autoscale.Signals{Placed: t.placed, Ready: t.ready, Held: t.held(), Queue: s.queues[t.pool]}
	if r := t.env.Rollout; r != nil && !r.State.Ended() {
		sig.Rollout = true
	}
	if s.states == nil || t.pulls && s.desks == nil {
		return sig
	}
	givers := s.states
	if t.pulls {
		givers = slices.Concat(s.states, s.desks)
	}
	req := &autoscale.Requests{}
	busy := make(map[semper.InstanceID]bool)
	for _, e := range givers {
		for _, id := range t.instances {
			if n := e.InFlight[id].Total(); n > 0 {
				req.InFlight += n
				busy[id] = true
			}
		}
		for pool, n := range e.Held {
			if pool == t.pool || strings.HasPrefix(string(pool), string(t.pool)+"@") { // of an arm
				req.Waiting += n
			}
		}
	}
	sig.Busy, sig.Requests = len(busy), req
	if t.policy.Min > 0 || t.pulls { // of jobs that are asked for edges know nothing
		return sig
	}
	if s.sleepers == nil {
		k.counted = false
		req.Recent = true
		return sig
	}
	told := s.sleepers[t.pool]
	req.Recent = !k.counted || told.Asked != k.asked
	k.asked, k.counted = told.Asked, true
	req.Waiting = max(req.Waiting, told.Waiting)
	return sig
}
