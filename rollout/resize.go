package rollout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper"
	"semper/autoscale"
	"semper/autoscale/waking"
)

// Auto, in place of a number of instances, has a service scaled by itself again.
const Auto = -1

// A Resizing is another number of instances for a service, by its load and nobody's word.
type Resizing struct {
	From, To int // nothing happens where From is not how many there should be now
	Why      string
}

// Resize changes the numbers of instances of services of env's current release that are scaled by themselves. It is no rollout:
// what serves stays, and only becomes more or less. So it may go beside one, but then it adds and takes nothing away: what is
// judged, and what a rollback returns to, does not become less meanwhile. Before the cutover the target gets as many too, or the cutover
// would take them away again.
//
// Instances that go are those that are not ready, then those with least in hand; they end as any that lose their traffic.
func Resize(env semper.Environment, w World, to map[string]Resizing) Decision {
	d := &step{Decision: Decision{Env: clone(env)}, w: w}
	for _, name := range slices.Sorted(maps.Keys(to)) {
		d.resize(name, to[name])
	}
	return d.Decision
}

func (d *step) resize(service string, to Resizing) {
	cur := d.Env.Current
	if cur == nil || cur.Scale[service] != to.From || to.To < 0 || to.To > maxInstances || !d.automatic(service) {
		return
	}
	switch r := d.Env.Rollout; {
	case to.To > to.From:
		d.more(service, to.To)
	case to.To < to.From && (r == nil || r.State.Ended()):
		d.fewer(service, to.To)
	default:
		return
	}
	d.Changed = true
	kind := "scale.up"
	switch {
	case to.To == 0:
		kind = "scale.asleep"
	case to.From == 0:
		kind = "scale.awake"
	case to.To < to.From:
		kind = "scale.down"
	}
	d.Events = append(d.Events, semper.Event{
		At: d.w.Now, Kind: kind, App: d.Env.App, Environment: d.Env.Name, Release: cur.Release,
		Message: fmt.Sprintf("%s %d → %d: %s", service, to.From, to.To, to.Why),
	})
}

// automatic reports whether a service of the current release is scaled by itself.
func (d *step) automatic(service string) bool {
	_, ok := automatic(d.Env, d.w.Releases[d.Env.Current.Release].Spec, service)
	return ok
}

// automatic is by what a service of env's current release is scaled, and whether it is at all now.
func automatic(env semper.Environment, spec semper.Spec, service string) (autoscale.Policy, bool) {
	p, ok := autoscale.Of(spec.Services[service])
	return p, ok && env.Current != nil && !slices.Contains(env.Current.ByHand, service)
}

// more adds instances. They get traffic when they are ready.
func (d *step) more(service string, n int) {
	e := &d.Env
	before := e.Current.Instances
	grown := resize(e, *e.Current, with(e.Current.Scale, service, n))
	e.Current = &grown
	r := e.Rollout
	if r == nil || !growing(r.State) {
		return
	}
	p, ok := autoscale.Of(d.w.Releases[r.To].Spec.Services[service])
	if n = min(n, p.Max); !ok || r.Target.Scale[service] >= n {
		return
	}
	if r.To == grown.Release { // the same instances, or the cutover would put others in their place
		for _, u := range grown.Instances {
			if !slices.Contains(before, u) {
				r.Target.Instances = append(r.Target.Instances, u)
			}
		}
	}
	r.Target = resize(e, r.Target, with(r.Target.Scale, service, n))
	if r.State == semper.RolloutReady {
		grace := d.w.Releases[r.To].Spec.Services[service].Health.Grace.D()
		if until := d.w.Now.Add(grace); until.After(r.Deadline) {
			r.Deadline = until
		}
	}
}

// growing reports whether the target of a rollout may still get instances that its cutover then waits for.
func growing(s semper.RolloutState) bool {
	switch s {
	case semper.RolloutStage, semper.RolloutStart, semper.RolloutReady, semper.RolloutTrial:
		return true
	}
	return false
}

// fewer takes instances out of the traffic. They end when every edge leaves them out and they have nothing in hand.
func (d *step) fewer(service string, n int) {
	e := &d.Env
	var of []semper.PlacedUnit
	for _, u := range e.Current.Instances {
		if u.Service == service {
			of = append(of, u)
		}
	}
	slices.Reverse(of) // of those that are alike the newest go
	slices.SortStableFunc(of, func(a, b semper.PlacedUnit) int {
		if x, y := d.w.ready(a.ID), d.w.ready(b.ID); x != y {
			if y {
				return -1
			}
			return 1
		}
		return cmp.Compare(d.w.InFlight[a.ID].Total(), d.w.InFlight[b.ID].Total())
	})
	gone := of[:max(len(of)-n, 0)]
	left := semper.Placement{
		Release: e.Current.Release, Generation: nextGeneration(e), Instances: slices.Clone(gone), Drain: e.Current.Drain,
		CutAt: d.w.Now, CutEpoch: d.w.NextEpoch,
	}
	rest := without(*e.Current, left)
	rest.Scale = with(rest.Scale, service, n)
	e.Current = &rest
	e.Retiring = append(e.Retiring, left)
}

// with is scale with another number for a service.
func with(scale map[string]int, service string, n int) map[string]int {
	out := maps.Clone(scale)
	out[service] = n
	return out
}

// begins is how many instances a release begins with. A service that is scaled by itself has as many as it has now, in its new bounds, and
// one at least: what nobody has seen start must not be what everything is sent to. A release that serves already keeps what it has.
func begins(env semper.Environment, rel semper.Release) map[string]int {
	scale := make(map[string]int, len(rel.Spec.Services))
	for name, svc := range rel.Spec.Services {
		if ends(svc) {
			continue
		}
		scale[name] = svc.Instances
		p, ok := autoscale.Of(svc)
		if !ok {
			continue
		}
		scale[name] = p.Within(svc.Instances)
		if env.Current == nil {
			continue
		}
		if now, serves := env.Current.Scale[name]; serves {
			scale[name] = p.Within(now)
			if _, auto := automatic(env, rel.Spec, name); auto && env.Current.Release == rel.Name() {
				scale[name] = now
			}
		}
	}
	return scale
}

// Begins is how many instances of each service a deploy of rel to env begins with.
func Begins(env semper.Environment, rel semper.Release) map[string]int { return begins(env, rel) }

// byHand are the services of a placement whose number somebody has given, after somebody gives those of scale; [Auto] takes them out.
func byHand(before []string, spec semper.Spec, scale map[string]int) []string {
	out := slices.DeleteFunc(slices.Clone(before), func(name string) bool { _, again := scale[name]; return again })
	for name, n := range scale {
		if _, ok := autoscale.Of(spec.Services[name]); ok && n != Auto {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// automatically begins to scale services of the current release by themselves again; their numbers stay as they are until they do.
func automatically(env semper.Environment, hands []string, q Request) (semper.Environment, []semper.Event, error) {
	cur := *env.Current
	cur.ByHand = hands
	env.Current = &cur
	msg := "scaled by themselves: every service that its release says it of"
	if len(hands) > 0 {
		msg = "scaled by hand: " + strings.Join(hands, ", ")
	}
	if env.Rollout == nil || env.Rollout.State.Ended() {
		env.Rollout = ended(q, cur.Release, msg)
		env.Rollout.Kind = semper.KindScale
	}
	return env, []semper.Event{{At: q.Now, Kind: "scale.by", App: env.App, Environment: env.Name, Release: cur.Release, By: q.By, Message: msg}}, nil
}

// wakes is what edges are told of a service that may sleep.
func wakes(s Site, service string, instances map[semper.InstanceID]Instance, none bool) json.RawMessage {
	p := s.Env.Current
	spec := s.Releases[p.Release].Spec
	if policy, ok := automatic(s.Env, spec, service); !ok || policy.Min > 0 {
		return nil
	}
	w := waking.Service{}
	if h := spec.Services[service].Health; h.Kind == semper.HealthHTTP {
		w.Health = h.Path
	}
	for _, u := range p.Instances {
		w.Failed = w.Failed || none && u.Service == service && instances[u.ID].LastEnd != nil
	}
	return w.Encode()
}
