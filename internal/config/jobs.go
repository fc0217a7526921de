package config

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"semper"
	"semper/queue"
)

// async is the mode of routes whose requests are done later.
const async = "async"

// mode looks at when the requests of a route are done.
func (c *checker) mode(path string, r *routeFormat) {
	switch {
	case r.Mode != async || c.hasProblem(path+".mode"):
	case len(r.Split) > 0:
		c.misplaced(path+".mode", "requests that are done later go to one service", `write "to" instead of split`)
	case r.To == "":
		c.misplaced(path+".mode", "what the edge answers itself is never done later", `remove it, or route to a service with "to"`)
	case r.Sticky.Cookie != "" || r.Sticky.By != "" && c.words.Given(path+".sticky"):
		c.words.Problem(path+".sticky", "requests that are done later stick to no instance", `remove it, or "mode: async"`)
	}
}

// queued is whether the service at path has a queue: some route wants it, or it is a worker that says how.
func (c *checker) queued(path string) bool {
	name := strings.TrimPrefix(path, "services.")
	if !c.f.Services[name].isWeb() && c.given(path+".jobs") {
		return true
	}
	for i := range c.f.Routes {
		if r := &c.f.Routes[i]; r.Mode == async && r.To == name {
			return true
		}
	}
	return false
}

// jobs looks at how a service's queue is worked.
func (c *checker) jobs(path string, j jobs) {
	path += ".jobs"
	switch {
	case !c.given(path) || c.hasProblem(path):
		return
	case j.Order == string(queue.OrderKey) && j.Key == "":
		c.problem(path, "it is not said what the key of a request is", `add "key: X-Customer", a header field`)
		return
	}
	if e, ok := errors.AsType[*semper.Error](j.settings().Check()); ok {
		c.problem(path, e.Message, e.Hint)
	}
}

// settings are j as package queue has them.
func (j jobs) settings() queue.Settings {
	return queue.Settings{KeyField: j.Key, Policy: queue.Policy{
		Order: queue.Order(j.Order), MaxAttempts: j.Attempts, RetryOn: j.RetryOn, TTL: time.Duration(j.TTL), Running: j.Running, Rate: float64(j.Rate),
		MaxJobs: j.Backlog, MaxBody: int(j.Body), Retain: time.Duration(j.Retain), Dedup: time.Duration(j.Dedup), Lease: time.Duration(j.Timeout),
	}}
}

// build is what a release keeps of j.
func (j jobs) build() json.RawMessage {
	b, err := json.Marshal(j.settings())
	if err != nil { // numbers and text
		return nil
	}
	return b
}
