package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"semper"
	"semper/edge/message"
	"semper/edge/route"
	"semper/edge/words"
	"semper/internal/inbox"
)

// What holds for the requests of a table whose routes say nothing.
const (
	Tries     = words.Tries
	BodyIdle  = words.BodyIdle
	WriteIdle = words.WriteIdle
)

// Trees say where an artifact is unpacked.
type Trees func(semper.Digest) string

// OfTable are the rules that t's routes are. What a newer semper says of them is passed over, and told in problems.
func OfTable(t semper.Table, trees Trees) (m *route.Matcher, problems, err error) {
	type place struct{ host, path string }
	seen := make(map[place]bool, len(t.Routes))
	rules := make([]route.Rule, 0, len(t.Routes)+len(t.Rules))
	var odd []error
	there := make(map[string]bool, len(t.Pools))
	for i := range t.Pools {
		there[string(t.Pools[i].Key)] = true
	}
	add := func(r *semper.Route) {
		rule, ok, err := ofRoute(r, true)
		if f, is := rule.Action.(*route.Files); is && ok {
			if ok = r.Artifact.Valid() && trees != nil; ok {
				f.Within = trees(r.Artifact)
			} else {
				err = errors.Join(err, fmt.Errorf("route %s: it is not said whose files answer", rule.Name))
			}
		}
		if f, is := rule.Action.(*route.Forward); is && len(f.Pools) > 1 {
			gone := slices.DeleteFunc(slices.Clone(f.Pools), func(s route.Share) bool { return there[s.Pool] })
			if f.Pools = slices.DeleteFunc(f.Pools, func(s route.Share) bool { return !there[s.Pool] }); len(gone) > 0 {
				ok, err = ok && len(f.Pools) > 0, errors.Join(err, fmt.Errorf("route %s: part of it leads to pool %s, which is not there", rule.Name, gone[0].Pool))
			}
		}
		if err != nil {
			odd = append(odd, err)
		}
		if ok {
			rules = append(rules, rule)
		}
	}
	for i := range t.Routes {
		r := &t.Routes[i]
		at := place{message.CanonicalHost(r.Host), strings.TrimRight(r.Path, "/")}
		if !seen[at] { // the first wins
			add(r)
		}
		seen[at] = true
	}
	for i := range t.Rules {
		add(&t.Rules[i])
	}
	for i := range t.Pools {
		if p := &t.Pools[i]; p.Jobs != nil {
			rules = append(rules, ofQueue(p))
		}
	}
	m, err = route.Compile(rules)
	if err != nil {
		return nil, nil, &semper.Error{Code: semper.Invalid, Op: fmt.Sprintf("route table %d", t.Epoch), Err: err}
	}
	return m, errors.Join(odd...), nil
}

// ofRoute is the rule that r is; ok is false where no request can have what it asks for.
func ofRoute(r *semper.Route, lenient bool) (rule route.Rule, ok bool, err error) {
	host, path := message.CanonicalHost(r.Host), strings.TrimRight(r.Path, "/")
	if rule.Match.Path, ok = encode(path); !ok {
		return rule, false, nil
	}
	rule.Name = host + cmp.Or(path, "/")
	if host != "" {
		rule.Match.Hosts = []string{host}
	}
	if r.Pool != "" {
		rule.Action = &route.Forward{Pools: []route.Share{{Pool: string(r.Pool), Weight: 1}}}
	}
	for _, h := range r.Hold {
		rule.Held = append(rule.Held, route.Held{Writes: h.Writes, Until: h.Until})
	}
	if err = words.Read(r.RouteWords, &rule, lenient); err != nil {
		err = fmt.Errorf("route %s: %w", rule.Name, err)
	}
	if rule.Match.Exact {
		rule.Name = host + rule.Match.Path
		rule.Match.Path, ok = encode(rule.Match.Path)
	}
	return rule, ok && rule.Action != nil, err
}

// ofQueue is the rule of requests that the queue of p's service sends: they are as its instances get them already.
func ofQueue(p *semper.Pool) route.Rule {
	rule := route.Rule{Name: "jobs of " + string(p.Key), Match: route.Match{Queue: string(p.Key)}, Policy: words.Base().Policy}
	rule.Action = &route.Forward{Pools: []route.Share{{Pool: string(p.Key), Weight: 1}}}
	rule.Policy.Patient = true
	rule.Policy.Timeouts.Response = 0 // the queue has a bound of its own for each attempt
	rule.Policy.Headers.Request.Remove = []string{inbox.Field}
	return rule
}

// encode is a path of a table's, which is written as people read it, as a rule has it. ok is false for one that no request has.
func encode(path string) (encoded string, ok bool) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case c == 0 || c == '\\':
			return "", false
		case c > ' ' && c < 0x7f && strings.IndexByte(`%?#*"<>^{}|`, c) < 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String(), true
}
