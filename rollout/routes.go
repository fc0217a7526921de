package rollout

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"semper"
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
	for _, s := range slices.SortedFunc(slices.Values(sites), func(a, b Site) int { return cmp.Compare(a.Env.Key(), b.Env.Key()) }) {
		if s.Env.Current == nil {
			continue
		}
		spec := s.Releases[s.Env.Current.Release].Spec
		for _, r := range spec.Routes {
			out := semper.Route{Host: r.Host, Path: r.Path, RouteWords: r.RouteWords}
			if r.To != "" {
				out.Pool = semper.NamePool(s.Env.App, s.Env.Name, r.To)
			}
			if r.Special() {
				t.Rules = append(t.Rules, out)
				continue
			}
			t.Routes = append(t.Routes, out)
		}
		for _, name := range slices.Sorted(maps.Keys(spec.Services)) {
			if spec.Services[name].Type == semper.Web {
				t.Pools = append(t.Pools, pool(s, name, instances))
			}
		}
		t.Draining = append(t.Draining, draining(s.Env)...)
	}
	return t
}

func pool(s Site, service string, instances map[semper.InstanceID]Instance) semper.Pool {
	cur := s.Env.Current
	spec := s.Releases[cur.Release].Spec
	p := semper.Pool{
		Key: semper.NamePool(s.Env.App, s.Env.Name, service), App: s.Env.App, Release: cur.Release,
		Backend: []semper.Backend{}, Hold: s.Env.Hold, Limits: spec.Hold,
		Protocol: spec.Services[service].Protocol, Policy: spec.Services[service].Pool,
	}
	for _, u := range cur.Instances {
		in := instances[u.ID]
		if u.Service != service || in.State != semper.Ready {
			continue
		}
		p.Backend = append(p.Backend, semper.Backend{ID: u.ID, Address: in.Address, PID: in.PID, StartTicks: in.Ticks, Health: spec.Services[service].Health})
	}
	return p
}

func draining(env semper.Environment) []semper.Draining {
	var out []semper.Draining
	add := func(p semper.Placement) {
		if p.CutAt.IsZero() || len(p.Instances) == 0 {
			return
		}
		d := semper.Draining{
			App: env.App, Release: p.Release,
			Request: p.CutAt.Add(p.Drain.Request.D()), Stream: p.CutAt.Add(p.Drain.Stream.D()), WebSocket: p.CutAt.Add(p.Drain.WebSocket.D()),
		}
		for _, u := range p.Instances {
			d.Instances = append(d.Instances, u.ID)
		}
		out = append(out, d)
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
