package alone

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge"
	"semper/edge/certs"
	"semper/edge/routefile"
)

// A plan is a file as this edge does it. It is a value: nothing is open.
type plan struct {
	listeners []listener
	table     semper.Table // its epoch is for whoever applies it
	fixed     fixed
	tls       *certs.Options // nil: there is none
}

// A listener is one that is to be there.
type listener struct {
	routefile.Listener
	key     string // its address; of several at ":0" each has another
	metrics bool   // answers scrapes, and no one else
}

// address of a listener as the file has it.
func (l listener) address() string { return cmp.Or(string(l.HTTP), string(l.HTTPS), l.Unix) }

// kind is the key that the file has for the address.
func (l listener) kind() string {
	switch {
	case l.metrics:
		return "metrics"
	case l.HTTPS != "":
		return "https"
	case l.Unix != "":
		return "unix"
	}
	return "http"
}

// fixed is what an edge has for its whole life.
type fixed struct {
	trusted     []netip.Prefix
	connections edge.Connections
	log         routefile.Log
}

// read makes the plan of the file. The error is routefile.Problems where the file is wrong.
func read(o Options) (*plan, error) {
	f, err := routefile.Load(o.Routes)
	if err != nil {
		return nil, err
	}
	p := &plan{table: table(f)}
	if err := p.listen(f, o); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.listeners, func(l listener) bool { return !l.metrics }) {
		f.Object("", "the edge listens nowhere", `add listeners: ":8080", or start it with --http :8080`)
	}
	object(f)
	p.fixed = fixed{trusted: f.Trusted, connections: connections(f, p.listeners), log: f.Log}
	if secure(p.listeners) {
		p.tls = certificates(f, p.listeners, o)
	}
	if err := f.Objections(); err != nil {
		return nil, err
	}
	return p, nil
}

// listen lists the listeners of the file and of the command line.
func (p *plan) listen(f *routefile.File, o Options) error {
	all := slices.Clone(f.Listeners)
	for _, one := range []struct {
		flag      string
		addresses []string
		at        func(*routefile.Listener) *routefile.Address
	}{
		{"--http", o.HTTP, func(l *routefile.Listener) *routefile.Address { return &l.HTTP }},
		{"--https", o.HTTPS, func(l *routefile.Listener) *routefile.Address { return &l.HTTPS }},
	} {
		for _, a := range one.addresses {
			l := routefile.NewListener()
			if err := one.at(&l).UnmarshalText([]byte(a)); err != nil {
				return &semper.Error{Code: semper.Invalid, Op: one.flag, Err: err}
			}
			all = append(all, l)
		}
	}
	if o.Metrics != "" {
		if err := f.Metrics.UnmarshalText([]byte(o.Metrics)); err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "--metrics", Err: err}
		}
	}
	serving := len(all)
	if f.Metrics != "" {
		l := routefile.NewListener()
		l.HTTP = f.Metrics
		all = append(all, l)
	}
	seen := map[string]int{}
	for i, l := range all {
		one := listener{Listener: l, metrics: i >= serving}
		one.key = one.address()
		if seen[one.key]++; seen[one.key] > 1 {
			if !strings.HasSuffix(one.key, ":0") {
				return &semper.Error{Code: semper.Invalid, Message: one.key + " is listened at twice", Hint: "remove it from the command line or from " + o.Routes}
			}
			one.key += fmt.Sprintf("#%d", seen[one.key])
		}
		p.listeners = append(p.listeners, one)
	}
	return nil
}

func secure(listeners []listener) bool {
	return slices.ContainsFunc(listeners, func(l listener) bool { return l.HTTPS != "" })
}

// connections are the bounds that all listeners and pools have in common.
func connections(f *routefile.File, listeners []listener) edge.Connections {
	var c edge.Connections
	for i, l := range listeners {
		if l.metrics {
			continue
		}
		at := fmt.Sprintf("listeners[%d]", i)
		agree(f, at+".head_timeout", "listeners", &c.Head, l.HeadTimeout)
		agree(f, at+".idle_timeout", "listeners", &c.Idle, l.IdleTimeout)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Pools)) {
		k, at := f.Pools[name].Keepalive, routefile.PoolPath(name)+".keepalive"
		if k.Idle == 0 {
			f.Object(at+".idle", "this version keeps connections to every upstream", "remove it")
			continue
		}
		agree(f, at+".idle", "pools", &c.Kept, k.Idle)
		agree(f, at+".timeout", "pools", &c.KeptFor, k.Timeout)
	}
	return c
}

// agree sets a setting that this version has once for all of a kind.
func agree[T int | time.Duration](f *routefile.File, path, kind string, have *T, want T) {
	switch *have {
	case 0, want:
		*have = want
	default:
		f.Object(path, fmt.Sprintf("this version has one value of it for all %s, and it is %v", kind, *have), "write the same everywhere")
	}
}

// changes is an error for what an edge that runs cannot change.
func (p *plan) changes(running *plan) error {
	for _, one := range []struct {
		what     string
		old, new any
	}{
		{"trusted", running.fixed.trusted, p.fixed.trusted},
		{"head_timeout, idle_timeout or keepalive", running.fixed.connections, p.fixed.connections},
		{"the access log", running.fixed.log, p.fixed.log},
	} {
		if !reflect.DeepEqual(one.old, one.new) {
			return &semper.Error{Code: semper.Conflict, Message: one.what + " is another than at the start, and does not change while the edge runs",
				Hint: "kill -USR2 starts a new edge on the same sockets, and loses no request"}
		}
	}
	return nil
}

// port of an address; 0 where it has none.
func port(address string) int {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := net.LookupPort("tcp", p)
	if err != nil {
		return 0
	}
	return n
}
