package alone

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"semper/edge/certs"
	"semper/edge/routefile"
)

// certificates are where TLS comes from, for all listeners that have it.
func certificates(f *routefile.File, listeners []listener, o Options) *certs.Options {
	c := &certs.Options{Dir: o.Dir}
	selfSigned := false
	for i, one := range f.Certificates {
		at := fmt.Sprintf("certificates[%d]", i)
		switch {
		case one.Cert != "":
			if _, err := tls.LoadX509KeyPair(one.Cert, one.Key); err != nil {
				f.Object(at+".cert", fmt.Sprintf("certificate and key cannot be used: %v", err), "")
			}
			c.Files = append(c.Files, certs.Pair{Cert: one.Cert, Key: one.Key})
		case one.ACME != nil:
			addACME(f, at+".acme", c, one.ACME, listeners)
		default:
			selfSigned = true
		}
	}
	if len(f.Certificates) == 0 {
		f.Object("certificates", "there is no certificate for the listeners with TLS", "add certificates: with cert and key, acme, or self_signed: localhost")
	}
	if selfSigned && (len(c.Files) > 0 || c.ACME != nil) {
		f.Object("certificates", "self-signed certificates beside others: "+later, "keep one kind")
	}
	clients(f, c, listeners)
	return c
}

func addACME(f *routefile.File, at string, c *certs.Options, a *routefile.ACME, listeners []listener) {
	if c.ACME != nil {
		if c.ACME.CA != a.Directory || c.ACME.Email != a.Email || a.Roots != "" {
			f.Object(at, "there is a second account: "+later, "put the names into one")
			return
		}
		c.ACME.Names = append(c.ACME.Names, a.Names...)
		return
	}
	c.ACME = &certs.ACME{Names: slices.Clone(a.Names), Agreed: true, CA: a.Directory, Email: a.Email, NoHTTP01: true}
	if a.Roots != "" {
		text, err := os.ReadFile(a.Roots)
		c.ACME.Roots = x509.NewCertPool()
		if err != nil || !c.ACME.Roots.AppendCertsFromPEM(text) {
			f.Object(at+".roots", a.Roots+" has no certificate in PEM", "")
		}
	}
	for _, l := range listeners {
		if l.HTTPS != "" {
			c.ACME.TLSPort = port(string(l.HTTPS))
			break
		}
	}
}

// clients is whom to ask for a certificate.
func clients(f *routefile.File, c *certs.Options, listeners []listener) {
	var first *listener
	for i, l := range listeners {
		switch {
		case l.HTTPS == "":
		case first == nil:
			first = &listeners[i]
			if l.ClientCA != "" {
				c.Clients = &certs.Clients{CA: l.ClientCA, Optional: l.ClientAuth == "optional"}
			}
		case l.ClientCA != first.ClientCA || l.ClientAuth != first.ClientAuth:
			f.Object(fmt.Sprintf("listeners[%d].client_ca", i), "listeners that ask different clients: "+later, "write the same everywhere")
		}
	}
}

var errNoTLS = errors.New("the edge has no certificate")

// tlsConfig is for all listeners with TLS, for ever: it goes by the manager of now.
func (s *server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if c := s.tls.Load(); c != nil {
				return c.GetConfigForClient(hello)
			}
			return nil, errNoTLS
		},
	}
}
