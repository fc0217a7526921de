package callback

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"semper"
	"semper/queue"
	"semper/webhook"
)

// Rules are where messages may go.
type Rules struct {
	// Hosts are the names that a client may give; one that begins with "*." stands for all below it. Empty: any.
	Hosts []string
	// To is the URL that the service itself says: it need not be among Hosts.
	To string
	// Networks are those of addresses that are not public and may be connected to all the same. There it may be without TLS.
	Networks []netip.Prefix
}

// RulesOf are those of a service.
func RulesOf(c *queue.Callbacks) Rules { return Rules{Hosts: c.Hosts, To: c.To, Networks: c.Networks} }

// reserved are networks that are not public, beside those that package netip knows: IANA's special-purpose address
// registries (RFC 6890), without what is globally reachable, and those that have addresses of version 4 inside.
var reserved = parse("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")

func parse(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func within(a netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// public is whether a, which is unmapped, is somebody's on the internet.
func public(a netip.Addr) bool {
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !within(a, reserved) && !webhook.Metadata(a)
}

// A Forbidden is a place that nothing is sent to.
type Forbidden struct{ Place, Why string }

func (e *Forbidden) Error() string { return "nothing is sent to " + e.Place + ": " + e.Why }

// Address is nil when a may be connected to, with TLS or without.
func (r Rules) Address(a netip.Addr, tls bool) error {
	a = a.Unmap().WithZone("")
	switch {
	case within(a, r.Networks):
		return nil
	case !public(a):
		return &Forbidden{a.String(), "it is not a public address, nor among the networks of the service's callbacks"}
	case !tls:
		return &Forbidden{a.String(), "what goes there goes over https"}
	}
	return nil
}

// URL is what a client may be told at, or why not: an Invalid error for what is no such URL, a Forbidden one for a place that
// is seen to be forbidden. Where a name leads to is seen later.
func (r Rules) URL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || !strings.EqualFold(u.Scheme, "https") && !strings.EqualFold(u.Scheme, "http") || u.Hostname() == "":
		return wrong("is no URL of https")
	case u.User != nil:
		return wrong("has a name or password in it: messages are signed instead")
	case u.Fragment != "":
		return wrong("has a fragment, which is never sent")
	case len(text) > queue.MaxCallback:
		return wrong(fmt.Sprintf("is longer than %d bytes", queue.MaxCallback))
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return wrong("has characters that have to be percent-encoded")
	}
	tls := strings.EqualFold(u.Scheme, "https")
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if len(r.Hosts) > 0 && !sameURL(u, r.To) && !slices.ContainsFunc(r.Hosts, func(h string) bool { return covers(h, host) }) {
		return &Forbidden{host, "it is not among the hosts of the service's callbacks"}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return r.Address(a, tls)
	}
	if net.ParseIP(host) == nil && numeric(host) {
		return wrong("has a host that is neither a name nor an address as it is usually written")
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return r.Address(netip.AddrFrom4([4]byte{127, 0, 0, 1}), tls)
	}
	if !tls && len(r.Networks) == 0 {
		return &Forbidden{host, "what goes there goes over https"}
	}
	return nil
}

// sameURL is whether u asks for what text does.
func sameURL(u *url.URL, text string) bool {
	o, err := url.Parse(text)
	return err == nil && strings.EqualFold(u.Scheme, o.Scheme) && strings.EqualFold(u.Host, o.Host) && u.RequestURI() == o.RequestURI()
}

// covers is whether host is what h stands for.
func covers(h, host string) bool {
	h = strings.ToLower(h)
	if below, ok := strings.CutPrefix(h, "*"); ok {
		return strings.HasSuffix(host, below) && len(host) > len(below)
	}
	return h == host
}

// numeric is whether a resolver may read host as an address of version 4 in one of its old forms: no name ends so.
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

func wrong(what string) error {
	return &semper.Error{Code: semper.Invalid, Message: "it " + what, Hint: "such as https://hooks.example.com/done"}
}
