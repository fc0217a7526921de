package routefile

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"semper/verify/diff"
)

func (r *reader) listeners() {
	seen := map[string]string{}
	for i := range r.f.Listeners {
		l := &r.f.Listeners[i]
		path := fmt.Sprintf("listeners[%d]", i)
		var given []string
		for _, key := range []string{"http", "https", "unix"} {
			if r.Given(path + "." + key) {
				given = append(given, key)
			}
		}
		switch {
		case len(given) > 1:
			r.Misplaced(path+"."+given[1], "a listener has one address: "+strings.Join(given, " and ")+" are two", "make it two listeners")
		case len(given) == 0 && !r.Wrong(path):
			r.Problem(path, "the listener has no address", "add http, https or unix")
		}
		if l.HTTPS != "" && len(r.f.Certificates) == 0 && !r.Wrong("certificates") {
			r.Problem(path+".https", "there is no certificate", "add certificates: with cert and key, acme, or self_signed: localhost")
		}
		r.listenerTLS(path, l)
		if l.ProxyProtocol && len(r.f.Trusted) == 0 && l.Unix == "" && !r.Wrong("trusted") {
			r.Misplaced(path+".proxy_protocol", "nobody is trusted to say who the client is", "name the networks of your load balancers: trusted: 10.0.0.0/8")
		}
		address := string(l.HTTP + l.HTTPS)
		if first, twice := seen[address+l.Unix]; twice && !strings.HasSuffix(address, ":0") {
			r.Problem(path, fmt.Sprintf("%s is listened at twice", address+l.Unix), fmt.Sprintf("the first is in line %d", r.Line(first)))
		} else if address+l.Unix != "" {
			seen[address+l.Unix] = path
		}
	}
}

// listenerTLS looks at what is for one kind of listener only.
func (r *reader) listenerTLS(path string, l *Listener) {
	for _, key := range []string{"http2", "http3", "client_ca", "client_auth"} {
		if r.Given(path+"."+key) && l.HTTPS == "" && !r.Wrong(path) {
			r.Misplaced(path+"."+key, fmt.Sprintf("%q is for listeners with TLS", key), "give it https, or remove it")
		}
	}
	if l.HTTP3 && l.ProxyProtocol {
		r.Misplaced(path+".http3", "HTTP/3 has no PROXY header: its clients would be your load balancers", "remove it, or proxy_protocol")
	}
	if l.H2C && l.HTTPS != "" {
		r.Misplaced(path+".h2c", `"h2c" is HTTP/2 without TLS`, `remove it: "http2" is on`)
	}
	if r.Given(path + ".client_ca") {
		r.file(path+".client_ca", &l.ClientCA)
	} else if r.Given(path + ".client_auth") {
		r.Misplaced(path+".client_auth", "there is nothing to check clients by", "add client_ca")
	}
}

func (r *reader) certificates() {
	for i := range r.f.Certificates {
		c := &r.f.Certificates[i]
		path := fmt.Sprintf("certificates[%d]", i)
		var ways []string
		if r.Given(path+".cert") || r.Given(path+".key") {
			ways = append(ways, "cert and key")
		}
		for _, key := range []string{"acme", "self_signed"} {
			if r.Given(path + "." + key) {
				ways = append(ways, key)
			}
		}
		switch {
		case len(ways) > 1:
			r.Problem(path, "the certificate comes from two places: "+strings.Join(ways, " and "), "make it two certificates")
		case len(ways) == 0 && !r.Wrong(path):
			r.Problem(path, "the certificate comes from nowhere", "add cert and key, acme or self_signed")
		}
		r.keyPair(path, &c.Cert, &c.Key)
		if c.ACME != nil {
			if c.ACME.Roots != "" {
				r.file(path+".acme.roots", &c.ACME.Roots)
			}
			r.names(path+".acme.names", c.ACME.Names, false)
		}
		r.names(path+".self_signed", c.SelfSigned, true)
	}
}

// keyPair looks at a certificate and its key, which go together.
func (r *reader) keyPair(path string, cert, key *string) {
	switch hasCert, hasKey := r.Given(path+".cert"), r.Given(path+".key"); {
	case hasCert && !hasKey:
		r.Misplaced(path+".cert", "the certificate has no key", "add key")
	case hasKey && !hasCert:
		r.Misplaced(path+".key", "the key has no certificate", "add cert")
	case hasCert:
		r.file(path+".cert", cert)
		r.file(path+".key", key)
	}
}

var dnsName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
})

// names looks at names that certificates are for.
func (r *reader) names(path string, names []string, local bool) {
	for i, n := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case r.Wrong(at):
		case !dnsName().MatchString(n):
			r.Problem(at, fmt.Sprintf("%q is not a name that a certificate can be for", n), "write it in lower case, without scheme and port")
		case !local && strings.HasPrefix(n, "*."):
			r.Problem(at, fmt.Sprintf("%q cannot be proven over HTTP or TLS", n), "name the hosts one by one, or get the certificate by DNS and name its files")
		case !local && !strings.Contains(n, "."):
			r.Problem(at, fmt.Sprintf("no authority knows %q", n), "write the whole name, or use self_signed")
		}
	}
}

var poolName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_/-]{0,126}[A-Za-z0-9_])?$`) })

func (r *reader) pool(path, name string, p Pool) {
	if !poolName().MatchString(name) {
		r.Misplaced(path, fmt.Sprintf("%q is not a name of a pool", name), "letters, digits, dashes, underscores and slashes, at most 128")
	}
	if len(p.Upstreams) == 0 && r.Given(path+".upstreams") && !r.Wrong(path) {
		r.Problem(path+".upstreams", "the pool has no upstream", "add one, like 127.0.0.1:9000")
	}
	weights, sockets, seen := 0, 0, map[UpstreamAddress]int{}
	for i, u := range p.Upstreams {
		if first, twice := seen[u.Address]; twice && u.Address != "" {
			r.Problem(fmt.Sprintf("%s.upstreams[%d]", path, i), fmt.Sprintf("%s is in the pool twice", u.Address), fmt.Sprintf("give the first, in line %d, more weight", r.Line(fmt.Sprintf("%s.upstreams[%d]", path, first))))
		} else {
			seen[u.Address] = i
		}
		weights += u.Weight
		if u.Address.Network() == "unix" {
			sockets++
		}
	}
	if len(p.Upstreams) > 0 && weights == 0 && !r.Wrong(path) {
		r.Problem(path+".upstreams", "every upstream has the weight 0", "give one of them more")
	}
	r.poolTLS(path, &p, sockets)
	r.shadow(path+".shadow", name, p.Shadow)
	if p.ProxyProtocol != "off" && strings.HasPrefix(p.Protocol, "h2") && !r.Wrong(path) {
		r.Misplaced(path+".proxy_protocol", "a connection of HTTP/2 is shared by clients, and the header is about one", `write "protocol: h1", or remove it`)
	}
	if p.Health.TCP && p.Health.Path != "" {
		r.Misplaced(path+".health.tcp", "health asks in two ways: path and tcp", "keep one")
	}
	if r.Given(path+".health") && !p.Health.TCP && p.Health.Path == "" && !r.Wrong(path+".health") {
		r.Problem(path+".health", "health does not say how to ask", "add path or tcp")
	}
	if p.Health.Timeout > p.Health.Interval {
		at := path + ".health.timeout"
		if !r.Given(at) {
			at = path + ".health.interval"
		}
		r.Problem(at, fmt.Sprintf("an answer may take %s, longer than the %s until the next question", p.Health.Timeout, p.Health.Interval), "make the interval longer or the timeout shorter")
	}
	if p.Outlier.Base > p.Outlier.Max {
		r.Misplaced(path+".outlier", fmt.Sprintf("base is %s, more than max with %s", p.Outlier.Base, p.Outlier.Max), "make max longer or base shorter")
	}
}

func (r *reader) shadow(path, pool string, s Shadow) {
	if s.To == "" || r.Wrong(path) {
		return
	}
	at := path + ".to"
	if !r.Given(at) {
		at = path
	}
	if s.To == pool {
		r.Problem(at, "the copies would go to the pool itself", "name another pool")
		return
	}
	r.known(at, s.To)
	for i, p := range s.Ignore {
		if _, err := diff.ParsePattern(p); err != nil {
			r.Problem(fmt.Sprintf("%s.ignore[%d]", path, i), err.Error(), "")
		}
	}
}

func (r *reader) poolTLS(path string, p *Pool, sockets int) {
	secure := p.TLS != nil && p.TLS.Enabled
	switch {
	case secure && p.Protocol == "h2c":
		r.Problem(path+".protocol", "h2c is HTTP/2 without TLS, and the pool has tls", "write h2, or remove tls")
	case !secure && p.Protocol == "h2" && !r.Wrong(path):
		r.Problem(path+".protocol", "h2 is HTTP/2 over TLS, and the pool has no tls", "write h2c, or add tls: on")
	}
	if p.TLS == nil {
		return
	}
	if p.TLS.CA != "" {
		r.file(path+".tls.ca", &p.TLS.CA)
	}
	r.keyPair(path+".tls", &p.TLS.Cert, &p.TLS.Key)
	if secure && sockets > 0 && p.TLS.ServerName == "" && !r.Wrong(path) {
		r.Problem(path+".tls", "a unix socket has no host for a certificate to be for", "add server_name")
	}
}
