package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// EdgeSettings are what a server's edges are told on the command line: by a person to the server, and by the keeper to
// each edge in the same words.
type EdgeSettings struct {
	// ACME is the authority that gives certificates: one of ACMENames, or the URL of its directory. "": none.
	ACME      string
	ACMEEmail string // for the account there
	ACMERoots string // PEM file of whom to trust as that authority; "": the system's

	Driver        string   // one of EdgeDrivers
	H2C           bool     // HTTP/2 without TLS from clients that begin with it
	Trusted       []string // networks of proxies in front: "10.0.0.0/8", or an address
	ProxyProtocol bool     // connections begin with a PROXY header
	AccessLog     string   // one of AccessLogs; "": as SEMPER_ACCESS_LOG says, or json
}

// AccessLogs are the forms of the access log.
var AccessLogs = []string{"json", "combined", "off"}

// ACMENames are authorities that have a name, the usual one first.
var ACMENames = []string{"letsencrypt", "staging"}

var edgeFlagNames = []string{"acme", "acme-email", "acme-roots", "driver", "h2c", "trusted", "proxy-protocol", "access-log"}

// edgeFlags gives cmd the flags that fill s.
func edgeFlags(cmd *cobra.Command, s *EdgeSettings) {
	f := cmd.Flags()
	f.StringVar(&s.ACME, "acme", "", "who gives certificates for the hosts of the routes: letsencrypt, staging, or the URL of an ACME directory; naming one is agreeing to its terms of service (default: an authority of this server's own)")
	f.StringVar(&s.ACMEEmail, "acme-email", "", "where the ACME authority writes to")
	f.StringVar(&s.ACMERoots, "acme-roots", "", "PEM file of whom to trust as the ACME authority (default: the system's)")
	f.StringVar(&s.Driver, "driver", EdgeDrivers[0], "what carries plaintext connections: "+strings.Join(EdgeDrivers, ", "))
	f.BoolVar(&s.H2C, "h2c", false, "take HTTP/2 without TLS at --http from clients that begin with it, as gRPC's do")
	f.StringSliceVar(&s.Trusted, "trusted", nil, "networks of load balancers in front, as 10.0.0.0/8: what they say of the client is believed")
	f.BoolVar(&s.ProxyProtocol, "proxy-protocol", false, "connections begin with a PROXY header, version 1 or 2; those of networks that are not trusted are closed")
	f.StringVar(&s.AccessLog, "access-log", "", "form of DATA/logs/access.log: "+strings.Join(AccessLogs, ", ")+" (default: $SEMPER_ACCESS_LOG, else json)")
}

// flags are s as the command line that gives s again.
func (s EdgeSettings) flags() (args []string) {
	driver := s.Driver
	if driver == EdgeDrivers[0] {
		driver = ""
	}
	for _, f := range []struct{ name, value string }{
		{"acme", s.ACME}, {"acme-email", s.ACMEEmail}, {"acme-roots", s.ACMERoots},
		{"driver", driver}, {"h2c", yes(s.H2C)}, {"trusted", strings.Join(s.Trusted, ",")}, {"proxy-protocol", yes(s.ProxyProtocol)}, {"access-log", s.AccessLog},
	} {
		if f.value != "" {
			args = append(args, "--"+f.name+"="+f.value)
		}
	}
	return args
}

// yes is a switch as a flag's value, which is left out where it is off.
func yes(on bool) string {
	if on {
		return "true"
	}
	return ""
}

func usage(format string, args ...any) error {
	return &exit{code: exitUsage, err: fmt.Errorf(format, args...), hint: "semper server run --help"}
}

// check says what is wrong with what a server is told.
func (o RunOptions) check() error {
	switch {
	case o.HTTP3 && len(o.HTTPS) == 0:
		return usage("--https is missing: HTTP/3 is at its addresses")
	case o.HTTP3 && o.Edge.ProxyProtocol:
		return usage("--http3 beside --proxy-protocol: HTTP/3 has no PROXY header, and its clients would be your load balancers")
	}
	return o.Edge.check(len(o.HTTPS) > 0)
}

// check says what is wrong with s on a server that has TLS or not.
func (s EdgeSettings) check(https bool) error {
	switch {
	case !slices.Contains(EdgeDrivers, s.Driver):
		return usage("--driver %q: it is one of %s", s.Driver, strings.Join(EdgeDrivers, ", "))
	case s.AccessLog != "" && !slices.Contains(AccessLogs, s.AccessLog):
		return usage("--access-log %q: it is one of %s", s.AccessLog, strings.Join(AccessLogs, ", "))
	case s.ProxyProtocol && len(s.Trusted) == 0:
		return usage("--trusted is missing: nobody is trusted to say who the client is")
	}
	if _, err := s.Networks(); err != nil {
		return usage("--trusted: %v", err)
	}
	return s.checkACME(https)
}

// Networks are the trusted ones.
func (s EdgeSettings) Networks() ([]netip.Prefix, error) {
	all := make([]netip.Prefix, 0, len(s.Trusted))
	for _, text := range s.Trusted {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			all = append(all, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not a network: write an address and its bits, like 10.0.0.0/8", text)
		case p != p.Masked():
			return nil, fmt.Errorf("%q has bits behind its prefix: write %q", text, p.Masked())
		}
		all = append(all, p)
	}
	return all, nil
}

func (s EdgeSettings) checkACME(https bool) error {
	if s.ACME == "" {
		if s.ACMEEmail != "" || s.ACMERoots != "" {
			return usage("--acme is missing: --acme-email and --acme-roots are for an authority")
		}
		return nil
	}
	if !https {
		return usage("--https is missing: certificates are for it")
	}
	if slices.Contains(ACMENames, s.ACME) {
		return nil
	}
	u, err := url.Parse(s.ACME)
	if err == nil && (u.Scheme != "https" || u.Host == "") {
		err = errors.New("no https URL")
	}
	if err != nil {
		return usage("--acme %q: it is %s, or the https URL of an ACME directory", s.ACME, strings.Join(ACMENames, ", "))
	}
	return nil
}
