package rollout

import (
	"slices"
	"time"

	"semper"
	"semper/rollout/quiesce"
)

// Workers get their jobs in one of three ways. Edges send them as requests, and then a worker is to this machine what a web service
// is. Or its instances ask for them: then the queue process is an edge to them, which hands out jobs by the epoch that it has
// acknowledged, and what they hold is in flight. Or they have a broker of their own: nobody can keep an instance that runs from
// taking jobs then, so the old ones are told to take no more when the new release is connected, and are not kept warm. To go back
// is to start new ones.

// Pulls reports whether some instance that env names, or may have left behind, asks for its jobs: then the queue process has to
// acknowledge what edges do.
func Pulls(env semper.Environment, releases map[semper.ReleaseName]semper.Release) bool {
	for _, p := range Placements(env) {
		for _, u := range p.Instances {
			if releases[p.Release].Spec.Services[u.Service].Pulls() {
				return true
			}
		}
	}
	return false
}

// alike reports whether shares of the work of a can go to b: both are sent it, or both ask for it.
func alike(a, b semper.Service) bool {
	return a.Type == b.Type && (a.Pooled() && b.Pooled() || a.Pulls() && b.Pulls())
}

// ownBroker reports whether semper has no say in which jobs instances of s take.
func ownBroker(s semper.Service) bool {
	return s.Type == semper.Worker && !s.Pooled() && !s.Pulls()
}

// letGo retires the workers with a broker of their own among the instances of old, which has just lost its traffic, and gives the
// rest of it.
func (d *step) letGo(old semper.Placement) semper.Placement {
	own := old
	own.Instances = slices.DeleteFunc(slices.Clone(old.Instances), func(u semper.PlacedUnit) bool { return !ownBroker(d.service(old, u)) })
	if len(own.Instances) == 0 {
		return old
	}
	d.Env.Retiring = append(d.Env.Retiring, own)
	return without(old, own)
}

// needed are the instances that have to be there before r goes on: those that are due. Nobody who turns back to a warm release waits
// for its workers with a broker of their own, which are started anew.
func (d *step) needed(r *semper.Rollout) []semper.PlacedUnit {
	due := Due(r)
	if p := d.Env.Previous; p == nil || p.Generation != r.Target.Generation {
		return due
	}
	return slices.DeleteFunc(slices.Clone(due), func(u semper.PlacedUnit) bool { return ownBroker(d.service(r.Target, u)) })
}

// quiesces reports whether u has to be waited for because it may have jobs of its own broker; it asks for it to be told and
// looked at. One that starts may take jobs before it is seen to be ready, and would not understand yet what it is told, so it is given
// the time a start may take. What does not run, or is being stopped, has none that it could finish.
func (d *step) quiesces(p semper.Placement, u semper.PlacedUnit) bool {
	svc := d.service(p, u)
	terms, ok := quiesce.Read(svc)
	in := d.w.Instances[u.ID]
	if !ok || in.Drained {
		return false
	}
	switch in.State {
	case semper.Starting:
		until := p.CutAt.Add(svc.Health.Grace.D())
		if d.w.Now.Before(until) {
			d.wake(until)
			return true
		}
	case semper.Ready, semper.NotReady:
		d.Commands = append(d.Commands, Quiesce{u.ID, terms})
		return true
	}
	return false
}

// forever is the drain deadline of jobs that may take as long as they take, in tables, where there is none without a time.
const forever = 100 * 365 * 24 * time.Hour

// leaving are the drain deadlines of the instances of p by the services they are of: what workers have is a matter of each
// service, and all other deadlines are the release's.
func leaving(app string, p semper.Placement, spec semper.Spec) []semper.Draining {
	out := []semper.Draining{{
		App: app, Release: p.Release,
		Request: p.CutAt.Add(p.Drain.Request.D()), Stream: p.CutAt.Add(p.Drain.Stream.D()), WebSocket: p.CutAt.Add(p.Drain.WebSocket.D()),
	}}
	at := map[string]int{}
	for _, u := range p.Instances {
		i, svc := 0, spec.Services[u.Service]
		if svc.Pooled() && svc.Type == semper.Worker || svc.Pulls() {
			last := svc.Drain.D()
			if last == 0 {
				last = forever
			}
			var known bool
			if i, known = at[u.Service]; !known {
				end := p.CutAt.Add(last)
				i = len(out)
				at[u.Service] = i
				out = append(out, semper.Draining{App: app, Release: p.Release, Request: end, Stream: end, WebSocket: end})
			}
		}
		out[i].Instances = append(out[i].Instances, u.ID)
	}
	return slices.DeleteFunc(out, func(d semper.Draining) bool { return len(d.Instances) == 0 })
}
