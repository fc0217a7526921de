package alone

import (
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/edge/route"
	"semper/edge/routefile"
)

// table is the routes and pools of f as far as a table has words for them; object refuses the rest.
func table(f *routefile.File) semper.Table {
	var t semper.Table
	for _, name := range slices.Sorted(maps.Keys(f.Pools)) {
		p := semper.Pool{Key: semper.PoolKey(name), App: name}
		for _, u := range f.Pools[name].Upstreams {
			p.Backend = append(p.Backend, semper.Backend{ID: semper.InstanceID(u.Address), Address: string(u.Address)})
		}
		t.Pools = append(t.Pools, p)
	}
	for _, r := range f.Matcher.Rules() {
		to, ok := r.Action.(*route.Forward)
		if !ok {
			continue
		}
		hosts := r.Match.Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, h := range hosts {
			path := r.Match.Path
			if path == "" {
				path = "/"
			}
			t.Routes = append(t.Routes, semper.Route{Host: h, Path: path, Pool: semper.PoolKey(to.Pools[0].Pool)})
		}
	}
	return t
}

const later = "this version of semper does not do it yet"

// object refuses what the file says and this edge does not do.
func object(f *routefile.File) {
	refuse := func(path string) {
		if f.Given(path) {
			f.Object(path, later, "remove it")
		}
	}
	refuse("sticky_keys")
	for i := range f.Listeners {
		for _, key := range []string{"h2c", "http2", "head", "fields", "connections"} {
			refuse(fmt.Sprintf("listeners[%d].%s", i, key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Pools)) {
		for _, key := range []string{"protocol", "tls", "health", "outlier", "panic_threshold", "slow_start", "proxy_protocol"} {
			refuse(routefile.PoolPath(name) + "." + key)
		}
		for i := range f.Pools[name].Upstreams {
			refuse(fmt.Sprintf("%s.upstreams[%d].weight", routefile.PoolPath(name), i))
		}
	}
	for _, key := range policies {
		refuse("defaults." + key)
	}
	for i, r := range f.Matcher.Rules() {
		at := fmt.Sprintf("routes[%d]", i)
		for _, key := range policies {
			refuse(at + "." + key)
		}
		for _, key := range []string{"exact", "scheme", "methods", "header", "cookie", "query", "split", "redirect", "respond", "files"} {
			refuse(at + "." + key)
		}
		if slices.ContainsFunc(r.Match.Hosts, func(h string) bool { return h[0] == '*' }) {
			f.Object(at+".host", later, "name the hosts one by one")
		}
	}
}

// policies are the keys of a route that can stand in defaults as well.
var policies = []string{
	"rewrite", "headers", "timeouts", "limits", "retry", "hedge", "balance", "max_in_flight", "adaptive", "queue", "rate_limit", "sticky",
	"class", "compress", "access_log", "max_stream_age", "error_pages",
}
