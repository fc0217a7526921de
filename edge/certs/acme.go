package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// ChallengePath is where http-01 asks; see [Manager.HTTPHandler].
const ChallengePath = "/.well-known/acme-challenge/"

// ACME is an authority that gives certificates to whoever controls a name (RFC 8555).
type ACME struct {
	// Names to have certificates for, one each, from the start; [Manager.SetNames] adds to them. A wildcard cannot be: it wants dns-01.
	Names []string
	// Allow, if set, permits certificates on demand: it is asked when a client asks for a name that has none, and the
	// handshake waits for the first try. An error refuses. It must know which names are ours, at once: without that anybody could use
	// up what the authority gives an account.
	Allow func(ctx context.Context, name string) error

	Agreed bool           // the authority's terms of service are agreed to; it refuses without
	CA     string         // URL of its directory; "" is Let's Encrypt
	TestCA string         // where a try that failed is tried next, to spare the limits of CA; "" is Let's Encrypt's for Let's Encrypt
	Roots  *x509.CertPool // whom to trust as CA; nil is the system's
	// Email for notices. With one, a renewal also tells the authority what it replaces, which some then do not count.
	Email string
	// Key identifier and key (base64url) of an account the authority knows already: external account binding.
	EABKey, EABSecret string
	Profile           string // of the certificates, where the authority has several
	KeyType           string // "p256" (also ""), "p384", "rsa2048", "rsa4096"

	NoHTTP01, NoTLSALPN01 bool // challenges not to be answered
	// Where this edge listens for what comes to ports 80 and 443; "" and 0 stand for all addresses and those ports. Only when
	// nobody listens there does certmagic, for the time of a challenge.
	Host              string
	HTTPPort, TLSPort int

	// Check is how often a certificate is looked at: its time to be renewed, its OCSP response, and whether another edge has
	// renewed it. 0 means ten minutes.
	Check time.Duration
}

const (
	defaultCheck = 10 * time.Minute
	tryTimeout   = 5 * time.Minute // for one try, with waiting for another edge's
)

func (a *ACME) validate() error {
	if !a.Agreed {
		return errors.New("ACME: the authority's terms of service have to be agreed to: read them, then say agreed")
	}
	for _, n := range a.Names {
		switch {
		case strings.HasPrefix(n, "*."):
			return fmt.Errorf("ACME: %s: a wildcard wants the dns-01 challenge, which semper does not do: give its certificate as files", n)
		case !certmagic.SubjectQualifiesForCert(n) || n != hostname(n):
			return fmt.Errorf("ACME: %q is no name a certificate can be for", n)
		}
	}
	if a.NoHTTP01 && a.NoTLSALPN01 {
		return errors.New("ACME: both challenges are switched off: leave one")
	}
	if (a.EABKey == "") != (a.EABSecret == "") {
		return errors.New("ACME: an external account has a key identifier and a key: give both")
	}
	if _, err := (certmagic.StandardKeyGenerator{KeyType: certmagic.KeyType(a.KeyType)}).GenerateKey(); err != nil {
		return fmt.Errorf("ACME: %w", err)
	}
	return nil
}

// authority is certmagic, used for one thing: to bring one name's certificate up to date, now, in the caller's goroutine.
// Its cache is not served from, and its own schedule has nothing to do.
type authority struct {
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
	cache  *certmagic.Cache
}

// silent is an issuer that never asks questions on the terminal, as certmagic's does when no e-mail address is known.
type silent struct{ *certmagic.ACMEIssuer }

func (s silent) PreCheck(ctx context.Context, names []string, _ bool) error {
	return s.ACMEIssuer.PreCheck(ctx, names, false)
}

func newAuthority(a *ACME, s Storage, log *slog.Logger) *authority {
	u := &authority{}
	logger := bridged(log.Handler())
	store := newAdapter(s)
	var idle atomic.Pointer[certmagic.Config]
	u.cache = certmagic.NewCache(certmagic.CacheOptions{
		// What is of an on-demand configuration the cache's own goroutine leaves alone.
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return idle.Load(), nil },
		RenewCheckInterval: a.Check, // how close a renewal may be cut
		OCSPCheckInterval:  1000 * time.Hour,
		Logger:             logger,
	})
	common := certmagic.Config{
		Storage: store, Logger: logger, KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.KeyType(a.KeyType)},
		OCSP: certmagic.OCSPConfig{HTTPProxy: http.ProxyFromEnvironment}, // with it comes a timeout
	}
	onDemand := common
	onDemand.OnDemand, onDemand.OCSP.DisableStapling = &certmagic.OnDemandConfig{}, true
	idle.Store(certmagic.New(u.cache, onDemand))
	u.config = certmagic.New(u.cache, common)
	template := certmagic.ACMEIssuer{
		CA: a.CA, TestCA: a.TestCA, Email: a.Email, Agreed: a.Agreed, Profile: a.Profile, TrustedRoots: a.Roots,
		DisableHTTPChallenge: a.NoHTTP01, DisableTLSALPNChallenge: a.NoTLSALPN01,
		ListenHost: a.Host, AltHTTPPort: a.HTTPPort, AltTLSALPNPort: a.TLSPort, Logger: logger,
	}
	if a.EABKey != "" {
		template.ExternalAccount = &acme.EAB{KeyID: a.EABKey, MACKey: a.EABSecret}
	}
	u.issuer = certmagic.NewACMEIssuer(u.config, template)
	u.config.Issuers = []certmagic.Issuer{u.issuer}
	if a.Email == "" {
		u.config.Issuers = []certmagic.Issuer{silent{u.issuer}}
	}
	return u
}

func (u *authority) load(ctx context.Context, name string) (cert *tls.Certificate, err error) {
	defer survive(&err)
	c, err := u.config.CacheManagedCertificate(ctx, name)
	if err != nil {
		return nil, err
	}
	return &c.Certificate, nil
}

func (u *authority) obtain(ctx context.Context, name string, attempt int) (cert *tls.Certificate, err error) {
	defer survive(&err)
	ctx, cancel := context.WithTimeout(under(ctx), tryTimeout)
	defer cancel()
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempt)
	u.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
	err = u.config.ManageSync(ctx, []string{name})
	for _, c := range u.cache.AllMatchingCertificates(name) {
		if cert == nil || c.Leaf.NotAfter.After(cert.Leaf.NotAfter) {
			cert = &c.Certificate
		}
	}
	if cert == nil && err == nil {
		err = errors.New("no certificate came of it")
	}
	return cert, err
}

// survive makes an error of a panic in what works on input from the network: serving goes on without it.
func survive(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// challenge is the configuration for a handshake of tls-alpn-01, which is all such a connection does (RFC 8737).
func (u *authority) challenge() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acmez.ACMETLS1Protocol}, GetCertificate: u.config.GetCertificate}
}

func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol
}

// close stops the cache's goroutine.
func (u *authority) close() { u.cache.Stop() }
