package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"time"
)

// Source of a certificate.
type Source string

// The sources, in the order in which they are preferred for a name that several have.
const (
	FromFile    Source = "file"
	FromACME    Source = "acme"
	Local       Source = "local"
	Development Source = "development"
)

// certificate is one chain with its key. It does not change.
type certificate struct {
	tls    *tls.Certificate // with its Leaf
	names  []string         // in lower case: names, wildcards and addresses it is for
	source Source
}

func newCertificate(c *tls.Certificate, from Source) *certificate {
	k := &certificate{tls: c, source: from}
	for _, n := range c.Leaf.DNSNames {
		k.names = append(k.names, strings.ToLower(n))
	}
	for _, a := range c.Leaf.IPAddresses {
		k.names = append(k.names, a.String())
	}
	return k
}

func (c *certificate) notAfter() time.Time { return c.tls.Leaf.NotAfter }

// covers reports whether the certificate is for name, as a client would judge it.
func (c *certificate) covers(name string) bool {
	wild := wildcard(name)
	return slices.ContainsFunc(c.names, func(n string) bool { return n == name || n == wild && wild != "" })
}

// wildcard is the wildcard that may stand for name, "" for none: it stands for exactly one label.
func wildcard(name string) string {
	label, rest, ok := strings.Cut(name, ".")
	if !ok || label == "" || rest == "" || net.ParseIP(name) != nil {
		return ""
	}
	return "*." + rest
}

// entry is the certificates of one name, the preferred one first.
type entry []*certificate

// index is which certificates a name has. It does not change.
type index struct {
	names    map[string]entry // by name; those of wildcards begin with "*."
	fallback entry            // for a name that is not there, and for none
	all      []*certificate
}

// newIndex puts certificates in order. The fallback is what fallback names, and if nothing is called that what the first
// certificate is.
func newIndex(all []*certificate, fallback string) *index {
	ix := &index{names: map[string]entry{}, all: all}
	for _, c := range all {
		for _, n := range c.names {
			if !slices.Contains(ix.names[n], c) {
				ix.names[n] = append(ix.names[n], c)
			}
		}
	}
	for n, e := range ix.names {
		slices.SortStableFunc(e, prefer)
		ix.names[n] = e
	}
	switch e := ix.find(fallback); {
	case e != nil:
		ix.fallback = e
	case len(all) > 0:
		ix.fallback = entry{all[0]}
		if len(all[0].names) > 0 {
			ix.fallback = ix.names[all[0].names[0]]
		}
	}
	return ix
}

// prefer orders the certificates of one name: what an operator gave before what was obtained, cheap signatures before dear
// ones, and of the same kind the one that lasts longest.
func prefer(a, b *certificate) int {
	return cmp.Or(cmp.Compare(rank(a.source), rank(b.source)), cmp.Compare(cost(a), cost(b)), b.notAfter().Compare(a.notAfter()))
}

func rank(s Source) int { return slices.Index([]Source{FromFile, FromACME, Local, Development}, s) }

func cost(c *certificate) int {
	switch c.tls.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey: // as cheap, but no browser takes it
		return 1
	}
	return 2
}

// find is the entry of name, nil if there is none. It allocates only for a wildcard.
func (ix *index) find(name string) entry {
	if name == "" {
		return nil
	}
	if e := ix.names[name]; e != nil {
		return e
	}
	if w := wildcard(name); w != "" {
		return ix.names[w]
	}
	return nil
}

// choose is the first certificate of e that the client can use. If it can use none it gets the first: its own refusal
// says more than ours.
func (e entry) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(e) == 0 {
		return nil
	}
	if len(e) > 1 {
		for _, c := range e {
			if hello.SupportsCertificate(c.tls) == nil {
				return c.tls
			}
		}
	}
	return e[0].tls
}

// same reports whether a connection whose client asked for sni may carry requests for host: if what that client was given
// is for host as well, or neither name has a certificate of its own.
func (ix *index) same(sni, host string) bool {
	if sni == host && sni != "" {
		return true
	}
	given, own := ix.find(sni), ix.find(host)
	if given == nil && own == nil {
		return true // both are given the fallback
	}
	if given == nil {
		given = ix.fallback
	}
	for _, c := range given {
		if !c.covers(host) {
			return false
		}
	}
	return len(given) > 0
}

// hostname is a Host field or a server name as the index knows it: in lower case, without port, brackets and last dot.
func hostname(host string) string {
	switch i := strings.LastIndexByte(host, ':'); {
	case strings.HasPrefix(host, "["):
		if j := strings.IndexByte(host, ']'); j > 0 {
			host = host[1:j]
		}
	case i >= 0 && strings.IndexByte(host, ':') == i:
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
