package alone

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"semper"
	"semper/edge"
	"semper/edge/certs"
	"semper/edge/routefile"
)

// A plan is a file as this edge does it. It is a value: nothing is open.
type plan struct {
	listeners []listener
	config    edge.Config
	secured   map[string]secured // TLS to upstreams, by pool
	log       routefile.Log
	tls       *certs.Options // nil: there is none
}

// A listener is one that is to be there.
type listener struct {
	routefile.Listener
	key     string         // its address; of several at ":0" each has another
	metrics bool           // answers scrapes, and no one else
	clients *x509.CertPool // who may connect; nil: anybody
	trusted []netip.Prefix // whose PROXY header is believed, where there has to be one
}

// same reports whether l and o are the same in all but who holds them.
func (l listener) same(o listener) bool {
	if !l.clients.Equal(o.clients) {
		return false
	}
	l.clients, o.clients = nil, nil
	return reflect.DeepEqual(l, o)
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

// read makes the plan of the file; before is the one in force, or nil. The error is routefile.Problems where the file is wrong.
func read(o Options, before *plan) (*plan, error) {
	f, err := routefile.Load(o.Routes)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	if err := p.listen(f, o); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.listeners, func(l listener) bool { return !l.metrics }) {
		f.Object("", "the edge listens nowhere", `add listeners: ":8080", or start it with --http :8080`)
	}
	p.configure(f, before)
	p.config.Trusted, p.log = f.Trusted, f.Log
	for i := range p.listeners {
		l := &p.listeners[i]
		l.clients = clients(f, fmt.Sprintf("listeners[%d]", i), l)
		if l.ProxyProtocol {
			l.trusted = f.Trusted
		}
	}
	if anySecure(p.listeners) {
		p.tls = certificates(f, p.listeners, &o)
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
	for i := range all {
		if l := &all[i]; o.HTTP3 && l.HTTPS != "" && !l.ProxyProtocol {
			l.HTTP3 = true
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

func anySecure(listeners []listener) bool {
	return slices.ContainsFunc(listeners, func(l listener) bool { return l.HTTPS != "" })
}

// terms are what holds for the connections of l.
func (l *listener) terms() edge.Terms {
	return edge.Terms{H2C: l.H2C, Head: l.HeadTimeout, Idle: l.IdleTimeout, MaxHead: int(l.Head), MaxFields: l.Fields, MaxContent: -1, MaxConns: l.Connections}
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
