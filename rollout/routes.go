package rollout

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"semper"
	"semper/experiment/design"
	"semper/internal/inbox"
)

// Site is an environment with the releases it names.
type Site struct {
	Env      semper.Environment
	Releases map[semper.ReleaseName]semper.Release
}

// Routes derives the route table from every environment: the ready instances of the one release
// each points to, and what is draining. Its epoch is 0; who publishes it numbers it.
func Routes(sites []Site, instances map[semper.InstanceID]Instance) semper.Table {
	t := semper.Table{Routes: []semper.Route{}, Pools: []semper.Pool{}}
	asked := queues{}
	for _, s := range slices.SortedFunc(slices.Values(sites), func(a, b Site) int { return cmp.Compare(a.Env.Key(), b.Env.Key()) }) {
		if s.Env.Current == nil {
			continue
		}
		release := s.Releases[s.Env.Current.Release]
		spec := release.Spec
		for _, r := range spec.Routes {
			out := semper.Route{Host: r.Host, Path: r.Path, RouteWords: r.RouteWords, Hold: routeHolds(s.Env, r)}
			if r.Files {
				out.Artifact = release.Artifact
			}
			if r.To != "" {
				out.Pool = semper.NamePool(s.Env.App, s.Env.Name, r.To)
			}
			if r.Async {
				asked.add(r.Host, out.Pool)
				out.Policy = queued(out.Policy, out.Pool)
				out.Pool = inbox.Pool
			}
			if r.Special() {
				t.Rules = append(t.Rules, out)
				continue
			}
			t.Routes = append(t.Routes, out)
		}
		for _, name := range slices.Sorted(maps.Keys(spec.Services)) {
			switch svc := spec.Services[name]; {
			case svc.Pooled():
				t.Pools = append(t.Pools, pools(s, name, instances)...)
			case svc.Pulls():
				t.Workers = append(t.Workers, pools(s, name, instances)...)
			}
		}
		t.Draining = append(t.Draining, draining(s)...)
	}
	t.Routes = append(t.Routes, asked.routes()...)
	return t
}

// pools are the service's own, that of the previous release while clients are pinned to it, those of releases that an experiment compares,
// and those of its arms while it is on trial.
func pools(s Site, service string, instances map[semper.InstanceID]Instance) []semper.Pool {
	own := pool(s, service, *s.Env.Current, instances)
	own.Wakes = wakes(s, service, instances, len(own.Backend) == 0)
	arm := func(a semper.Arm, p semper.Placement) semper.Pool {
		out := pool(s, service, p, instances)
		out.Key, out.Arm = own.Key.PoolOf(a), a
		return out
	}
	var arms []semper.Pool
	if p := s.Env.Previous; pinned(p) && p.Scale[service] > 0 && pins(s.Releases[s.Env.Current.Release].Spec, s.Releases[p.Release].Spec, service) > 0 {
		before := arm(semper.ArmPrevious, *p)
		before.ReplacedAt = p.ReplacedAt
		arms = append(arms, before)
	}
	arms = append(arms, variantPools(s, service, arm)...)
	r := s.Env.Rollout
	if r == nil || !tried(r) || r.Trial.Scale[service] == 0 || s.Releases[r.To].Spec.Deploy == nil {
		return append([]semper.Pool{own}, arms...)
	}
	d := s.Releases[r.To].Spec.Deploy
	arms = append(arms, arm(semper.ArmCandidate, r.Target))
	if r.Trial.Baseline != nil {
		arms = append(arms, arm(semper.ArmBaseline, *r.Trial.Baseline))
	}
	if r.Trial.Share > 0 || len(d.Testers) > 0 {
		own.Split = &semper.Split{Rollout: r.ID, By: d.By, Arms: shares(r.Trial), Testers: d.Testers}
	}
	if r.Trial.Shadow > 0 {
		own.Shadow = &semper.Shadow{Rollout: r.ID, Share: r.Trial.Shadow, Shadowing: d.Shadow}
	}
	return append([]semper.Pool{own}, arms...)
}

// shares are the candidate's part and as much for a fresh baseline, or what the candidate leaves.
func shares(t *semper.Trial) []semper.ArmShare {
	out := []semper.ArmShare{{Arm: semper.ArmCandidate, Share: t.Share}}
	if b := min(t.Share, 1-t.Share); t.Baseline != nil && b > 0 {
		out = append(out, semper.ArmShare{Arm: semper.ArmBaseline, Share: b})
	}
	return out
}

// tried reports whether the route table gives the target of r what its trial says. A trial goes on until the cutover.
func tried(r *semper.Rollout) bool {
	if r.Trial == nil || r.Epoch == 0 {
		return false
	}
	return beforeConnect(r.State)
}

// pool has the ready instances of p, and is treated as p's release says.
func pool(s Site, service string, p semper.Placement, instances map[semper.InstanceID]Instance) semper.Pool {
	spec := s.Releases[p.Release].Spec
	svc := spec.Services[service]
	out := semper.Pool{
		Key: semper.NamePool(s.Env.App, s.Env.Name, service), App: s.Env.App, Release: p.Release,
		Backend: []semper.Backend{}, Hold: serviceHolds(s, service), Limits: spec.Hold, Protocol: svc.Protocol, Policy: svc.Pool, Jobs: svc.Jobs,
		Variations: design.Variations(s.Env.Experiments, service),
	}
	for _, u := range p.Instances {
		in := instances[u.ID]
		if u.Service != service || in.State != semper.Ready {
			continue
		}
		out.Backend = append(out.Backend, semper.Backend{ID: u.ID, Address: in.Address, PID: in.PID, StartTicks: in.Ticks, Health: svc.Health})
	}
	return out
}

func draining(s Site) []semper.Draining {
	var out []semper.Draining
	env := s.Env
	add := func(p semper.Placement) {
		if !p.CutAt.IsZero() && len(p.Instances) > 0 {
			out = append(out, leaving(env.App, p, s.Releases[p.Release].Spec)...)
		}
	}
	if env.Previous != nil {
		add(*env.Previous)
	}
	for _, p := range env.Retiring {
		add(p)
	}
	return out
}

// SameRoutes reports whether a and b send every request the same way, whatever their epochs.
func SameRoutes(a, b semper.Table) bool {
	a.Epoch, b.Epoch = 0, 0
	return reflect.DeepEqual(a, b)
}

// SameStored is SameRoutes by what is stored of a and b, for one of them was read from there.
func SameStored(a, b semper.Table) bool {
	a.Epoch, b.Epoch = 0, 0
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
