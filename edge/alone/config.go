package alone

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"semper/edge"
	"semper/edge/certs"
	"semper/edge/config"
	"semper/edge/routefile"
	"semper/edge/upstream"
	"semper/verify/diff"
)

// configure is what the edge goes by. TLS to upstreams is that of before where nothing about it has changed: their connections
// stay then.
func (p *plan) configure(f *routefile.File, before *plan) {
	p.config = edge.Config{
		Rules: f.Matcher, Pools: make(map[string]edge.PoolConfig, len(f.Pools)),
		Sticky: edge.StickyKeys{Current: f.StickyKeys.CurrentKey, Previous: f.StickyKeys.PreviousKey},
	}
	p.secured = map[string]secured{}
	for _, name := range slices.Sorted(maps.Keys(f.Pools)) {
		one := f.Pools[name]
		pool := poolOf(&one)
		if one.TLS != nil && one.TLS.Enabled {
			now, err := secure(&one, before.securedOf(name))
			if err != nil {
				f.Object(routefile.PoolPath(name)+".tls", err.Error(), "")
			}
			p.secured[name], pool.TLS = now, now.config
		}
		p.config.Pools[name] = pool
	}
}

// poolOf is a pool without its TLS.
func poolOf(p *routefile.Pool) edge.PoolConfig {
	c := edge.PoolConfig{
		Protocol: protocol(p), MaxIdle: p.Keepalive.Idle, IdleTimeout: p.Keepalive.Timeout,
		Probe: edge.ProbeConfig{
			Path: p.Health.Path, TCP: p.Health.TCP, Host: p.Health.Host,
			Interval: p.Health.Interval, Timeout: p.Health.Timeout, Rise: p.Health.Rise, Fall: p.Health.Fall,
		},
		Outlier: edge.OutlierConfig{
			Consecutive: p.Outlier.Consecutive, Status5xx: p.Outlier.Status5xx, FailurePercent: p.Outlier.FailurePercent,
			Base: p.Outlier.Base, Max: p.Outlier.Max, MaxEjected: p.Outlier.MaxEjected,
		},
		Panic: p.PanicThreshold, SlowStart: p.SlowStart,
	}
	if c.MaxIdle == 0 { // off in the file; no default here
		c.MaxIdle = -1
	}
	switch p.ProxyProtocol {
	case "v1":
		c.ProxyProtocol = 1
	case "v2":
		c.ProxyProtocol = 2
	}
	if s := &p.Shadow; s.To != "" {
		c.Shadow = shadowOf(s)
	}
	for _, u := range p.Upstreams {
		c.Upstreams = append(c.Upstreams, edge.Upstream{Address: string(u.Address), Weight: u.Weight})
	}
	return c
}

func shadowOf(s *routefile.Shadow) *config.Shadow {
	out := &config.Shadow{To: s.To, Share: s.Share}
	if !s.Again {
		out.Again = -1 // 0 is all of them
	}
	terms := diff.Terms{Mask: s.Mask}
	for _, path := range s.Ignore {
		terms.Rules = append(terms.Rules, diff.Rule{Path: path, Ignore: true})
	}
	if b, err := json.Marshal(terms); err == nil { // of the program's own types
		out.Rules = b
	}
	return out
}

// protocol is what upstreams are spoken to in.
func protocol(p *routefile.Pool) upstream.Protocol {
	overTLS := p.TLS != nil && p.TLS.Enabled
	switch {
	case p.Protocol == "h2":
		return upstream.H2
	case p.Protocol == "h2c":
		return upstream.H2C
	case p.Protocol == "auto" && overTLS && p.ProxyProtocol == "off": // a connection that begins with a client is that client's
		return upstream.Auto
	}
	return upstream.H1
}

// secured is TLS to the upstreams of a pool, and what it was made of.
type secured struct {
	from   certs.Upstream
	files  [3][sha256.Size]byte
	config *tls.Config
}

func (p *plan) securedOf(pool string) secured {
	if p == nil {
		return secured{}
	}
	return p.secured[pool]
}

// secure is TLS to the upstreams of p; before, if that was made of the same.
func secure(p *routefile.Pool, before secured) (secured, error) {
	now := secured{from: certs.Upstream{CA: p.TLS.CA, Cert: p.TLS.Cert, Key: p.TLS.Key, ServerName: p.TLS.ServerName, Named: true, ALPN: offers(protocol(p))}}
	for i, name := range []string{p.TLS.CA, p.TLS.Cert, p.TLS.Key} {
		if name == "" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return now, fmt.Errorf("TLS to upstreams: %w", err)
		}
		now.files[i] = sha256.Sum256(b)
	}
	if before.config != nil && before.files == now.files && equal(&before.from, &now.from) {
		return before, nil
	}
	var err error
	now.config, err = now.from.TLSConfig()
	return now, err
}

func equal(a, b *certs.Upstream) bool {
	return a.CA == b.CA && a.Cert == b.Cert && a.Key == b.Key && a.ServerName == b.ServerName && slices.Equal(a.ALPN, b.ALPN)
}

// offers are the protocols that the handshake offers.
func offers(p upstream.Protocol) []string {
	switch p {
	case upstream.H2:
		return []string{"h2"}
	case upstream.Auto:
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}

const later = "this version of semper does not do it yet"
