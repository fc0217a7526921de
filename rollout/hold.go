package rollout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/internal/nearest"
)

// maxHold is the longest that somebody may have requests held: who needs longer closes the app instead.
const maxHold = 24 * time.Hour

// BeginHold holds requests to env, whose current release is rel, as h says, for a time or, where that is 0, until somebody ends it.
// What the same target had before is replaced.
func BeginHold(env semper.Environment, rel semper.Release, h semper.Hold, last time.Duration, now time.Time) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	if env.Current == nil {
		return env, nil, noCurrent(env, "hold")
	}
	if err := target(env, rel, &h); err != nil {
		return env, nil, err
	}
	if last < 0 || last > maxHold {
		return env, nil, &semper.Error{
			Code: semper.Invalid, Op: "hold", Message: fmt.Sprintf("a hold does not last %s: longer than nothing, and at most %s", last, maxHold),
			Hint: "without a time it lasts until semper resume",
		}
	}
	if h.Since = now; last > 0 {
		h.Until = now.Add(last)
	}
	ev := semper.Event{At: now, Kind: "hold.begun", Release: rel.Name(), By: h.By, Message: fmt.Sprintf("%s%s wait", held(h), of(h))}
	ev.App, ev.Environment = env.App, env.Name
	i := slices.IndexFunc(env.Hold, func(o semper.Hold) bool { return sameTarget(o, h) })
	if i >= 0 {
		was := env.Hold[i]
		if was.Writes == h.Writes && was.Until.IsZero() && h.Until.IsZero() {
			return env, nil, nil
		}
		h.Since = was.Since
		env.Hold[i] = h
	} else {
		env.Hold = append(env.Hold, h)
	}
	if !h.Until.IsZero() {
		ev.Message += " until " + h.Until.UTC().Format(time.TimeOnly) + " UTC"
	}
	return env, []semper.Event{ev}, nil
}

// EndHold lets requests go on: those that what holds, or all where it names neither a service nor a route. Where nothing is held at
// all, it changes nothing.
func EndHold(env semper.Environment, rel semper.Release, what semper.Hold, now time.Time) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	switch {
	case env.Current == nil:
		return env, nil, noCurrent(env, "resume")
	case what.Service == "" && what.Route == "":
		events := make([]semper.Event, 0, len(env.Hold))
		for _, h := range env.Hold {
			events = append(events, goesOn(env, h, what.By, now, ""))
		}
		env.Hold = nil
		return env, events, nil
	}
	if what.Route != "" {
		what.Route = routeWord(what.Route)
	}
	i := slices.IndexFunc(env.Hold, func(o semper.Hold) bool { return sameTarget(o, what) }) // though the release may have it no more
	if i < 0 {
		if err := target(env, rel, &what); err != nil {
			return env, nil, err
		}
		hint := "nothing is held"
		if len(env.Hold) > 0 {
			hint = "held: " + strings.Join(Targets(env.Hold), ", ") + "; semper resume without a target ends all"
		}
		return env, nil, &semper.Error{Code: semper.NotFound, Op: "resume", Message: "no hold" + of(what), Hint: hint}
	}
	h := env.Hold[i]
	env.Hold = slices.Delete(env.Hold, i, i+1)
	return env, []semper.Event{goesOn(env, h, what.By, now, "")}, nil
}

// endHolds ends those whose time is over. Every edge has let go by itself then.
func (d *step) endHolds() {
	if d.Env.Current == nil {
		return
	}
	d.Env.Hold = slices.DeleteFunc(d.Env.Hold, func(h semper.Hold) bool {
		switch {
		case h.Until.IsZero():
			return false
		case d.w.Now.Before(h.Until):
			d.wake(h.Until)
			return false
		}
		d.Changed = true
		d.Events = append(d.Events, goesOn(d.Env, h, "", d.w.Now, ": its time is over"))
		return true
	})
}

// goesOn is the event of the end of h.
func goesOn(env semper.Environment, h semper.Hold, by string, now time.Time, why string) semper.Event {
	return semper.Event{
		At: now, Kind: "hold.ended", App: env.App, Environment: env.Name, Release: env.Current.Release, By: by,
		Message: fmt.Sprintf("requests%s go on%s", of(h), why),
	}
}

// held says which of the requests that h is for wait.
func held(h semper.Hold) string {
	if h.Writes {
		return "requests with unsafe methods"
	}
	return "all requests"
}

// of says whose requests h is for; nothing where it is for all.
func of(h semper.Hold) string {
	switch {
	case h.Service != "":
		return " to service " + h.Service
	case h.Route != "":
		return " of route " + h.Route
	}
	return ""
}

// Targets are what l holds, in words.
func Targets(l semper.Holds) []string {
	out := make([]string, len(l))
	for i, h := range l {
		out[i] = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(of(h), " to "), " of "), "all")
	}
	return out
}

func sameTarget(a, b semper.Hold) bool {
	return a.Service == b.Service && strings.EqualFold(a.Route, b.Route)
}

// target refuses a hold of what there is not, and writes its route as the release has it.
func target(env semper.Environment, rel semper.Release, h *semper.Hold) error {
	bad := func(code semper.Code, message, hint string) error {
		return &semper.Error{Code: code, Op: "hold", Message: message, Hint: hint}
	}
	switch {
	case h.Service != "" && h.Route != "":
		return bad(semper.Invalid, "a hold is of a service or of a route, not of both", "a route leads to one service: name the route alone")
	case h.Service != "":
		svc, ok := rel.Spec.Services[h.Service]
		if !ok {
			return bad(semper.NotFound, fmt.Sprintf("%s has no service %q", env.Current.Release, h.Service), near(h.Service, slices.Collect(maps.Keys(rel.Spec.Services)), "services"))
		}
		if !svc.Pooled() {
			return bad(semper.Invalid, fmt.Sprintf("service %s takes no requests: it is of type %s", h.Service, svc.Type), "hold a service that listens; jobs wait while their queue is paused: semper queue pause")
		}
	case h.Route != "":
		var names []string
		for _, r := range rel.Spec.Routes {
			switch name := RouteName(r); {
			case !strings.EqualFold(name, routeWord(h.Route)):
				names = append(names, name)
			case r.To == "":
				return bad(semper.Invalid, fmt.Sprintf("route %s is answered by the edge itself: nothing waits for it", name), "hold a route that leads to a service")
			default:
				h.Route = name
				return nil
			}
		}
		return bad(semper.NotFound, fmt.Sprintf("%s has no route %q", env.Current.Release, h.Route), near(routeWord(h.Route), names, "routes"))
	}
	return nil
}

// near says what was meant, or what there is.
func near(word string, names []string, what string) string {
	if n := nearest.To(word, names); n != "" {
		return "did you mean " + n + "?"
	}
	if len(names) == 0 {
		return "it has no " + what
	}
	slices.Sort(names)
	return what + ": " + strings.Join(slices.Compact(names), ", ")
}

// routeWord is what somebody called a route, as [RouteName] has it: a host alone is all below it.
func routeWord(s string) string {
	if !strings.Contains(s, "/") {
		s += "/"
	}
	if host, path, _ := strings.Cut(s, "/"); path != "" {
		return host + "/" + strings.TrimRight(path, "/")
	}
	return s
}

// RouteName is what people call r, and what edges call it: its host, where it has one, and its path.
func RouteName(r semper.RouteRule) string {
	path := strings.TrimRight(r.Path, "/")
	var match struct {
		Exact string `json:"exact"`
	}
	if json.Unmarshal(r.Match, &match) == nil && match.Exact != "" {
		return r.Host + match.Exact
	}
	return r.Host + cmp.Or(path, "/")
}

// serviceHolds are the holds of a service's pools: somebody's, and the one of a migration.
func serviceHolds(s Site, service string) semper.Holds {
	var out semper.Holds
	for _, h := range s.Env.Hold {
		if h.Route == "" && (h.Service == "" || h.Service == service) {
			out = append(out, h)
		}
	}
	if h, ok := migrationHold(s); ok {
		out = append(out, h)
	}
	return out
}

// routeHolds are the holds of r alone.
func routeHolds(env semper.Environment, r semper.RouteRule) semper.Holds {
	var out semper.Holds
	for _, h := range env.Hold {
		if h.Route != "" && h.Route == RouteName(r) {
			out = append(out, h)
		}
	}
	return out
}
