package refusal

import (
	"crypto/tls"
	"net"
	"strings"
)

// Belongs reports whether a request for host may come over a connection on which the client asked for another name. It
// may when both names have the same certificate (RFC 9110, 7.4), as with connections that HTTP/2 shares among hosts.
// Otherwise the answer is 421: the client was shown who answers, and it was not this. same, where
// it is not nil, knows the certificates; else those that stand in c decide.
func Belongs(state *tls.ConnectionState, host string, c *tls.Config, same func(tls.ConnectionState, string) bool) bool {
	if host == "" || state.ServerName == "" {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), state.ServerName) {
		return true
	}
	if same != nil {
		return same(*state, host)
	}
	return shown(c, state.ServerName) == shown(c, host)
}

// shown is which of the certificates that stand in a configuration a client that asks for name is shown; 0 as well when
// the configuration makes them up.
func shown(c *tls.Config, name string) int {
	if c == nil {
		return 0
	}
	for i := range c.Certificates {
		if leaf := c.Certificates[i].Leaf; leaf != nil && leaf.VerifyHostname(name) == nil {
			return i
		}
	}
	return 0
}
