package alone

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"semper/edge/certs"
	"semper/edge/routefile"
)

// certificates are where TLS comes from, for all listeners that have it.
func certificates(f *routefile.File, listeners []listener, o *Options) *certs.Options {
	c := &certs.Options{Dir: o.Dir}
	for i, one := range f.Certificates {
		at := fmt.Sprintf("certificates[%d]", i)
		switch {
		case one.Cert != "":
			if _, err := tls.LoadX509KeyPair(one.Cert, one.Key); err != nil {
				f.Object(at+".cert", fmt.Sprintf("certificate and key cannot be used: %v", err), "")
			}
			c.Files = append(c.Files, certs.Pair{Cert: one.Cert, Key: one.Key})
		case one.ACME != nil:
			addACME(f, at+".acme", c, one.ACME, listeners, o.check)
		default:
			c.SelfSigned = append(c.SelfSigned, one.SelfSigned...)
		}
	}
	if len(f.Certificates) == 0 {
		f.Object("certificates", "there is no certificate for the listeners with TLS", "add certificates: with cert and key, acme, or self_signed: localhost")
	}
	return c
}

func addACME(f *routefile.File, at string, c *certs.Options, a *routefile.ACME, listeners []listener, check time.Duration) {
	if c.ACME != nil {
		if c.ACME.CA != a.Directory || c.ACME.Email != a.Email || a.Roots != "" || len(a.Challenges) > 0 {
			f.Object(at, "there is a second account: "+later, "put the names into one")
			return
		}
		c.ACME.Names = append(c.ACME.Names, a.Names...)
		return
	}
	c.ACME = &certs.ACME{Names: slices.Clone(a.Names), Agreed: true, CA: a.Directory, Email: a.Email, Check: check}
	asked(f, at, c.ACME, a, listeners)
	if a.Roots != "" {
		text, err := os.ReadFile(a.Roots)
		c.ACME.Roots = x509.NewCertPool()
		if err != nil || !c.ACME.Roots.AppendCertsFromPEM(text) {
			f.Object(at+".roots", a.Roots+" has no certificate in PEM", "")
		}
	}
}

// asked says how the authority may ask, and where: at the listener with the port that it knows, else at the first.
func asked(f *routefile.File, at string, c *certs.ACME, a *routefile.ACME, listeners []listener) {
	plain, secure := -1, -1
	for _, l := range listeners {
		switch n := port(l.address()); {
		case l.metrics || l.Unix != "":
		case l.HTTPS != "":
			if secure < 0 || n == 443 {
				secure = n
			}
		case plain < 0 || n == 80:
			plain = n
		}
	}
	c.HTTPPort, c.TLSPort = max(plain, 0), secure
	c.NoHTTP01 = plain != 80
	if len(a.Challenges) > 0 {
		c.NoHTTP01, c.NoTLSALPN01 = !slices.Contains(a.Challenges, "http-01"), !slices.Contains(a.Challenges, "tls-alpn-01")
	}
	if !c.NoHTTP01 && plain < 0 {
		f.Object(at+".challenges", "there is no listener for http-01, which asks over plain HTTP", `add listeners: ":80", or leave tls-alpn-01`)
	}
}

// sameCertificates reports whether a and b are the same but for who holds them.
func sameCertificates(a, b *certs.Options) bool {
	if a == nil || b == nil || a.ACME == nil || b.ACME == nil {
		return reflect.DeepEqual(a, b)
	}
	if !a.ACME.Roots.Equal(b.ACME.Roots) {
		return false
	}
	x, y, one, other := *a, *b, *a.ACME, *b.ACME
	one.Roots, other.Roots = nil, nil
	x.ACME, y.ACME = &one, &other
	return reflect.DeepEqual(x, y)
}

var errNoTLS = errors.New("the edge has no certificate")

// clients are the authorities of those who may connect by l; nil: anybody.
func clients(f *routefile.File, at string, l *listener) *x509.CertPool {
	if l.ClientCA == "" {
		return nil
	}
	pool := x509.NewCertPool()
	if text, err := os.ReadFile(l.ClientCA); err != nil || !pool.AppendCertsFromPEM(text) {
		f.Object(at+".client_ca", l.ClientCA+" has no certificate in PEM", "")
	}
	return pool
}

// A common is what all listeners with TLS have in common.
type common struct {
	config  *tls.Config
	manager *certs.Manager
}

// belongs reports whether a request for host may come over a connection with that handshake.
func (s *server) belongs(state tls.ConnectionState, host string) bool {
	c := s.tls.Load()
	return c != nil && c.manager.SameCertificate(state, host)
}

// challenges answers those of an authority, over plaintext, and leaves everything else to next.
func (s *server) challenges(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := s.tls.Load(); c != nil {
			c.manager.HTTPHandler(next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// An own is what one listener makes of the TLS that all have in common. It is made anew when that is, which is seldom.
type own struct{ common, mine *tls.Config }

// tlsConfig is for l, as long as it is there: it goes by the manager of now.
func (s *server) tlsConfig(l *listener) *tls.Config {
	protocols := []string{"h2", "http/1.1"}
	if !l.HTTP2 {
		protocols = protocols[1:]
	}
	var made atomic.Pointer[own]
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c := s.tls.Load()
			if c == nil {
				return nil, errNoTLS
			}
			common, err := c.config.GetConfigForClient(hello)
			if err != nil || slices.Contains(hello.SupportedProtos, challengeProtocol) {
				return common, err
			}
			if o := made.Load(); o != nil && o.common == common {
				return o.mine, nil
			}
			mine := common.Clone()
			mine.NextProtos = protocols
			if l.clients != nil {
				mine.ClientCAs, mine.ClientAuth = l.clients, tls.RequireAndVerifyClientCert
				if l.ClientAuth == "optional" {
					mine.ClientAuth = tls.VerifyClientCertIfGiven
				}
			}
			made.Store(&own{common, mine})
			return mine, nil
		},
	}
}

// challengeProtocol is what an authority offers that asks for a proof over TLS (RFC 8737).
const challengeProtocol = "acme-tls/1"
