package routefile

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A Network is a prefix of addresses, written 10.0.0.0/8, or one address.
type Network struct{ netip.Prefix }

// UnmarshalText reads a network.
func (n *Network) UnmarshalText(text []byte) error {
	s := string(text)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		n.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not a network: write an address and its bits, like 10.0.0.0/8", s)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits behind its prefix: write %q", s, p.Masked())
	}
	n.Prefix = p
	return nil
}

// An Address is where to listen, "host:port" with an IP address or nothing as its host.
type Address string

// UnmarshalText reads an address.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if isPort(s) {
			return fmt.Errorf("%q is not an address: write %q", s, ":"+s)
		}
		return fmt.Errorf("%q is not an address: write :PORT, or ADDRESS:PORT", s)
	}
	if !isPort(port) && port != "0" {
		return fmt.Errorf("%q has no port: a number from 1 to 65535, or 0 for any that is free", s)
	}
	if host != "" {
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			return fmt.Errorf("%q is not an address of this machine: write an IP address, or only :%s for all of them", s, port)
		}
	}
	*a = Address(s)
	return nil
}

// An UpstreamAddress is the address of an upstream: "host:port" or "unix:/path".
type UpstreamAddress string

var hostname = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`)
})

// maxSocketPath is what fits into a sockaddr_un, less the NUL at its end.
const maxSocketPath = 107

// UnmarshalText reads an address.
func (u *UpstreamAddress) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		switch {
		case !strings.HasPrefix(path, "/"):
			return fmt.Errorf("%q names no socket: write unix: and a path from the root, like unix:/run/app.sock", s)
		case len(path) > maxSocketPath:
			return fmt.Errorf("%q is too long for a unix socket: its path can have at most %d bytes", s, maxSocketPath)
		}
		*u = UpstreamAddress("unix:" + path)
		return nil
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return notURL(s, scheme, rest)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if strings.HasPrefix(s, "/") {
			return fmt.Errorf("%q is not an address: write %q for a unix socket", s, "unix:"+s)
		}
		return fmt.Errorf("%q is not an address: write host:port, or unix:/path", s)
	}
	if !isPort(port) {
		return fmt.Errorf("%q has no port: a number from 1 to 65535", s)
	}
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostname().MatchString(host)) {
		return fmt.Errorf("%q has no host: an IP address (an IPv6 one in brackets) or a name", s)
	}
	*u = UpstreamAddress(s)
	return nil
}

// notURL says what to write for the address of a URL.
func notURL(s, scheme, rest string) error {
	rest, _, _ = strings.Cut(rest, "/")
	port, hint := "80", ""
	if scheme == "https" {
		port, hint = "443", ", with tls: on for the pool"
	}
	if _, _, err := net.SplitHostPort(rest); err != nil {
		rest += ":" + port
	}
	return fmt.Errorf("%q is not an address: write %q%s", s, rest, hint)
}

// Network is what package net dials the address with: "tcp" or "unix".
func (u UpstreamAddress) Network() string {
	if strings.HasPrefix(string(u), "unix:") {
		return "unix"
	}
	return "tcp"
}

// String is the address in the network: "host:port" or a path.
func (u UpstreamAddress) String() string { return strings.TrimPrefix(string(u), "unix:") }

// isPort tells the number of a port that can be dialled.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// foreign is what other programs call a key.
func foreign(name string) []string {
	switch name {
	case "server_name", "hosts", "domain", "domains", "hostname", "vhost":
		return []string{"host"}
	case "location", "prefix", "path_prefix", "handle_path":
		return []string{"path"}
	case "method", "verb", "verbs":
		return []string{"methods"}
	case "headers":
		return []string{"header"}
	case "cookies":
		return []string{"cookie"}
	case "params", "parameters", "queries", "args":
		return []string{"query"}
	case "proxy_pass", "backend", "service", "use_backend", "pool", "cluster", "reverse_proxy", "proxy":
		return []string{"to"}
	case "return":
		return []string{"respond", "redirect"}
	case "root", "static", "file_server", "alias":
		return []string{"files", "dir"}
	case "upstream", "backends", "clusters", "services":
		return []string{"pools", "upstreams"}
	case "servers", "server", "endpoints", "targets", "url", "urls":
		return []string{"upstreams", "listeners", "address"}
	case "listen", "bind", "frontends", "entrypoints", "ports":
		return []string{"listeners"}
	case "rules", "locations", "routers":
		return []string{"routes"}
	case "tls", "ssl", "certs":
		return []string{"certificates"}
	case "ssl_certificate", "certificate", "crt", "cert_file":
		return []string{"cert"}
	case "ssl_certificate_key", "key_file", "private_key":
		return []string{"key"}
	case "check", "healthcheck", "health_check", "health_checks":
		return []string{"health"}
	case "client_max_body_size", "max_body_size":
		return []string{"limits", "body"}
	case "proxy_read_timeout", "read_timeout":
		return []string{"response", "timeouts"}
	case "proxy_connect_timeout", "dial_timeout":
		return []string{"connect", "timeouts"}
	case "maxconn", "max_conns":
		return []string{"max_in_flight", "connections"}
	case "lb_policy", "load_balancing", "loadbalancer":
		return []string{"balance"}
	case "gzip", "encode", "compression":
		return []string{"compress"}
	case "ratelimit", "limit_req":
		return []string{"rate_limit"}
	case "retries", "attempts":
		return []string{"retry", "tries"}
	case "set_real_ip_from", "trusted_proxies", "trusted_networks":
		return []string{"trusted"}
	case "error_page":
		return []string{"error_pages"}
	}
	return nil
}
