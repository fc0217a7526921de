package config

import (
	"strings"

	"semper/internal/config/later"
)

func (r *routeFormat) later() bool { return r.Mode == later.Async || r.Mode == later.Either }

// mode looks at when the requests of a route are done.
func (c *checker) mode(path string, r *routeFormat) {
	switch {
	case !r.later() || c.hasProblem(path+".mode"):
	case len(r.Split) > 0:
		c.misplaced(path+".mode", "requests that are done later go to one service", `write "to" instead of split`)
	case r.To == "":
		c.misplaced(path+".mode", "what the edge answers itself is never done later", `remove it, or route to a service with "to"`)
	case r.Mode == later.Async && (r.Sticky.Cookie != "" || r.Sticky.By != "" && c.words.Given(path+".sticky")):
		c.words.Problem(path+".sticky", "requests that are done later stick to no instance", `remove it, or "mode: async"`)
	case r.Mode == later.Either && c.words.Given(path+".header.Prefer"):
		c.words.Problem(path+".header.Prefer", "what a request prefers is what \"mode: either\" looks at", `remove it, or write "mode: async"`)
	}
}

// queued is whether the service at path has a queue: some route wants it, or it is a worker that says how.
func (c *checker) queued(path string) bool {
	name := strings.TrimPrefix(path, "services.")
	if !c.f.Services[name].isWeb() && c.given(path+".jobs") {
		return true
	}
	for i := range c.f.Routes {
		if r := &c.f.Routes[i]; r.later() && r.To == name {
			return true
		}
	}
	return false
}

// jobs looks at how a service's queue is worked.
func (c *checker) jobs(path string, j later.Jobs) {
	path += ".jobs"
	if !c.given(path) || c.hasProblem(path) {
		return
	}
	if p, ok := j.Problem(); !ok {
		at := path
		if p.Key != "" {
			at = join(path, p.Key)
		}
		c.problem(at, p.Message, p.Hint)
	}
}
