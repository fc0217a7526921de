package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/edge/route"
	"semper/edge/tablefile"
)

// CheckSpec refuses a spec whose routes or pools no edge could serve by: what an edge refuses in a table it would refuse for
// every app. Words that this program does not know are refused as well.
func CheckSpec(s semper.Spec) error {
	t := semper.Table{Epoch: 1}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		svc := s.Services[name]
		if !svc.Pooled() && !svc.Pulls() {
			continue
		}
		t.Pools = append(t.Pools, semper.Pool{Key: semper.PoolKey(name), App: s.App}) // of workers that ask, for their queues' routes
		p, err := poolOf(svc.Protocol, svc.Pool, false)
		if err == nil {
			err = p.check()
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("service %s: %w", name, err))
		}
	}
	var rules []route.Rule
	for _, r := range s.Routes {
		if s.Services[r.To].Type == semper.Worker && !r.Async {
			problems = append(problems, fmt.Errorf("route %s%s: %s is a worker, and nobody can wait for its answer", r.Host, r.Path, r.To))
		}
		out := semper.Route{Host: r.Host, Path: r.Path, Pool: semper.PoolKey(r.To), RouteWords: r.RouteWords}
		if r.Special() {
			t.Rules = append(t.Rules, out)
		} else {
			t.Routes = append(t.Routes, out)
		}
		rule, ok, err := ofRoute(&out, false)
		if ok {
			_, bad := NewRule(&rule)
			err = errors.Join(err, bad)
			if _, files := rule.Action.(*route.Files); files != r.Files {
				err = errors.Join(err, fmt.Errorf("route %s: whether it answers with files of the artifact is said in two ways", rule.Name))
			}
			rules = append(rules, rule)
		}
		problems = append(problems, err)
	}
	_, err := route.Compile(rules)
	if err := errors.Join(append(problems, err, tablefile.Validate(t))...); err != nil {
		return &semper.Error{Code: semper.Invalid, Op: "read the routes of " + s.App, Err: err, Hint: "semper config check says more of a file"}
	}
	return nil
}
