package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
)

// Clients asks those who connect for a certificate.
type Clients struct {
	CA       string // PEM file of the authorities whose certificates are accepted
	Optional bool   // one who has none may connect too; a certificate that is given must be good in any case
}

func (c *Clients) apply(t *tls.Config) error {
	if c == nil {
		return nil
	}
	pool, err := readPool(c.CA)
	if err != nil {
		return err
	}
	t.ClientCAs, t.ClientAuth = pool, tls.RequireAndVerifyClientCert
	if c.Optional {
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return nil
}

func readPool(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate authorities in %s: there is no certificate in PEM", name)
	}
	return pool, nil
}

// ClientCert is the verified certificate of a connection's client as the value of the Client-Cert field (RFC 9440), "" if
// there is none. Whoever adds that field must have removed the client's own before.
func ClientCert(s *tls.ConnectionState) string {
	if s == nil || len(s.VerifiedChains) == 0 {
		return ""
	}
	return ":" + base64.StdEncoding.EncodeToString(s.PeerCertificates[0].Raw) + ":"
}

// ClientSubject is the subject of that certificate (RFC 2253), "" if there is none. Its text is the authority's: it may
// hold bytes that no field value may.
func ClientSubject(s *tls.ConnectionState) string {
	if s == nil || len(s.VerifiedChains) == 0 {
		return ""
	}
	return s.PeerCertificates[0].Subject.String()
}

// Upstream is TLS to instances.
type Upstream struct {
	CA         string   // PEM file of the authorities the instance's certificate may come from; "" means the system's
	Cert, Key  string   // PEM files of the certificate the edge shows; "" for none
	ServerName string   // the name the instance's certificate must have, and that is asked for
	Named      bool     // whoever uses the configuration puts the ServerName into a copy of it
	Insecure   bool     // any certificate will do: encrypted, but to whom is not known
	ALPN       []string // what is offered; nil means HTTP/1.1 alone
}

// TLSConfig reads the files. The configuration resumes sessions; it is for one pool, since what it resumes it trusts.
func (u Upstream) TLSConfig() (*tls.Config, error) {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, ServerName: u.ServerName, NextProtos: u.ALPN,
		InsecureSkipVerify: u.Insecure, //nolint:gosec // only where the operator says so
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if len(t.NextProtos) == 0 {
		t.NextProtos = []string{"http/1.1"}
	}
	if u.ServerName == "" && !u.Insecure && !u.Named {
		return nil, fmt.Errorf("TLS to instances: a server name is needed to tell an instance from anybody else: give one, or say insecure")
	}
	if u.CA != "" {
		pool, err := readPool(u.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	if u.Cert != "" {
		c, err := tls.LoadX509KeyPair(u.Cert, u.Key)
		if err != nil {
			return nil, fmt.Errorf("TLS to instances: certificate %s with key %s: %w", u.Cert, u.Key, err)
		}
		t.Certificates = []tls.Certificate{c}
	}
	return t, nil
}

// suites of TLS 1.2: forward secret and authenticated. Those of 1.3 are not for choosing.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}
