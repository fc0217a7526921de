package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/edge/message"
	"semper/edge/route"
)

// Tries bounds how often a request of a table's is given to a backend that turns out not to take it.
const Tries = 8

// What holds for the requests of a table.
const (
	BodyIdle  = time.Minute      // in which a client has to send some of a request's content
	WriteIdle = 90 * time.Second // in which it has to take some of its answer
	MinRate   = 100              // bytes a second that a request's content has to bring in the long run
)

// OfTable are the rules that t's routes are.
func OfTable(t semper.Table) (*route.Matcher, error) {
	type place struct{ host, path string }
	seen := make(map[place]bool, len(t.Routes))
	rules := make([]route.Rule, 0, len(t.Routes))
	for _, r := range t.Routes {
		at := place{message.CanonicalHost(r.Host), strings.TrimRight(r.Path, "/")}
		path, ok := encode(at.path)
		if seen[at] || !ok { // the first wins; what no request has in it needs no rule
			continue
		}
		seen[at] = true
		m := route.Match{Path: path}
		if at.host != "" {
			m.Hosts = []string{at.host}
		}
		rules = append(rules, route.Rule{
			Name: at.host + cmp.Or(at.path, "/"), Match: m, Action: &route.Forward{Pools: []route.Share{{Pool: string(r.Pool), Weight: 1}}},
			Policy: route.Policy{
				Retry:    route.Retry{Tries: Tries, Share: 0.2, Floor: 10},
				Timeouts: route.Timeouts{Connect: 3 * time.Second, Body: BodyIdle, Write: WriteIdle}, AccessLog: true,
			},
		})
	}
	m, err := route.Compile(rules)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: fmt.Sprintf("route table %d", t.Epoch), Err: err}
	}
	return m, nil
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
