// Package localca is a certificate authority of one's own, for names that no public authority vouches for: a laptop's, a
// test's, an intranet's. Who trusts its root once trusts every certificate it gives.
//
// Only the authority is kept, by its owner. The certificates are made when they are first asked for, last a week, and live
// in memory: making one costs less than the handshake it is for, and what is nowhere can be neither stolen nor forgotten.
package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// Life is how long an authority lasts.
	Life = 10 * 365 * 24 * time.Hour
	// LeafLife is how long a certificate lasts; it is made anew when half of it is over.
	LeafLife = 7 * 24 * time.Hour

	maxLeaves  = 1024                // in memory; anybody can ask for names
	early      = time.Hour           // certificates begin in the past, for clocks that are slow
	lastMonths = 90 * 24 * time.Hour // before the end, in which an authority is no more to be used
)

// Authority gives certificates. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // guarded by mu; by name
}

// Make is a new authority, its certificate and key in PEM. The key is whoever has the text.
func Make(now time.Time) (text []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	t := &x509.Certificate{
		// The date keeps authorities apart in the list of a browser.
		Subject:   pkix.Name{Organization: []string{"semper"}, CommonName: "semper local authority, " + host + ", " + now.UTC().Format("2006-01-02")},
		NotBefore: now.Add(-early), NotAfter: now.Add(Life), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := sign(t, t, key, key)
	if err != nil {
		return nil, err
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	out.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
	return out.Bytes(), nil
}

// Parse is the authority that Make made. The error never shows what text is.
func Parse(text []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, errors.New("the local authority is not a certificate with its key in PEM")
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("the local authority is not one: its certificate may not sign, or its key is not of ECDSA")
	}
	return &Authority{cert: pair.Leaf, key: key, now: time.Now, leaves: make(map[string]*tls.Certificate)}, nil
}

// Good reports whether the authority is to be used at now: its end is not near.
func (a *Authority) Good(now time.Time) bool { return now.Before(a.cert.NotAfter.Add(-lastMonths)) }

// Root is the certificate of the authority in PEM: what clients are to trust. There is no secret in it.
func (a *Authority) Root() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// NotAfter is the end of the authority.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Certificate is one for name, which is a host name, a wildcard or an address; "" and "localhost" are this machine by all
// that it may be called.
func (a *Authority) Certificate(name string) (*tls.Certificate, error) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[name]; c != nil && now.Before(c.Leaf.NotAfter.Add(-LeafLife/2)) {
		return c, nil
	}
	c, err := a.leaf(name, now)
	if err != nil {
		return nil, fmt.Errorf("certificate of the local authority for %q: %w", name, err)
	}
	if len(a.leaves) >= maxLeaves {
		for other := range a.leaves {
			delete(a.leaves, other) // any: it is made again when it is asked for
			break
		}
	}
	a.leaves[name] = c
	return c, nil
}

func (a *Authority) leaf(name string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		NotBefore: now.Add(-early), NotAfter: now.Add(LeafLife), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	switch addr := net.ParseIP(name); {
	case name == "" || name == localhost:
		t.DNSNames, t.IPAddresses = Machine()
	case addr != nil:
		t.IPAddresses = []net.IP{addr}
	default:
		t.DNSNames = []string{name}
	}
	der, err := sign(t, a.cert, key, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// sign is t for the public half of key, signed by the key of parent.
func sign(t, parent *x509.Certificate, key, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
}

const localhost = "localhost"

// Machine is what this machine may be called by those who connect to it.
func Machine() (names []string, addrs []net.IP) {
	names = []string{localhost}
	if host, err := os.Hostname(); err == nil && host != "" && host != localhost {
		names = append(names, host)
	}
	addrs = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return names, addrs
	}
	for _, a := range nets {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			addrs = append(addrs, n.IP)
		}
	}
	return names, addrs
}
