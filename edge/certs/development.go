package certs

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
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"semper/edge/certs/localca"
)

const (
	// maxDevelopment bounds how many names anybody can have certificates made for.
	maxDevelopment = 256
	developmentTTL = 365 * 24 * time.Hour
	localhost      = "localhost"
)

// development makes self-signed certificates for whatever name is asked for, and keeps them in files, so that an
// exception a browser was told to make holds over a restart. They are no authorities: who trusts one trusts that one.
type development struct {
	dir string // "" keeps them in memory

	mu    sync.Mutex
	certs map[string]*certificate // by name
	made  int                     // names that have ever got one, as far as the directory knows
}

func newDevelopment(dir string) *development {
	d := &development{dir: dir, certs: map[string]*certificate{}}
	if dir != "" {
		files, _ := filepath.Glob(filepath.Join(dir, "*.pem")) // the pattern is a good one
		d.made = len(files)
	}
	return d
}

// plausible is what may become the name of a file and of a certificate.
var plausible = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
})

// get is the certificate for name; for a name that is none, or is one too many, that of this machine.
func (d *development) get(name string) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(name) > 253 || !plausible().MatchString(name) || d.certs[name] == nil && d.made >= maxDevelopment && !d.kept(name) {
		name = localhost
	}
	if c := d.certs[name]; c != nil && time.Until(c.notAfter()) > 0 {
		return c.tls, nil
	}
	c, err := d.provide(name)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate for %s: %w", name, err)
	}
	d.certs[name] = newCertificate(c, Development)
	return c, nil
}

// kept reports whether there is a file for name.
func (d *development) kept(name string) bool {
	if d.dir == "" {
		return false
	}
	_, err := os.Stat(d.file(name))
	return err == nil
}

func (d *development) file(name string) string {
	return filepath.Join(d.dir, strings.Replace(name, "*", "_any", 1)+".pem")
}

// provide reads the certificate, or makes it if there is none or it ends within the month.
func (d *development) provide(name string) (*tls.Certificate, error) {
	if d.dir == "" {
		text, err := selfSigned(name)
		if err != nil {
			return nil, err
		}
		d.made++
		return parsePair(text)
	}
	file := d.file(name)
	old, err := os.ReadFile(file)
	if err == nil {
		if c, err := parsePair(old); err == nil && time.Until(c.Leaf.NotAfter) > 30*24*time.Hour {
			return c, nil
		}
	} else if errors.Is(err, fs.ErrNotExist) {
		d.made++
	} else {
		return nil, err
	}
	text, err := selfSigned(name)
	if err != nil {
		return nil, err
	}
	if err := writeFile(file, text); err != nil {
		return nil, err
	}
	// Another edge may have done the same: what is in the file now is what both go by.
	if text, err = os.ReadFile(file); err != nil {
		return nil, err
	}
	return parsePair(text)
}

func parsePair(text []byte) (*tls.Certificate, error) {
	c, err := tls.X509KeyPair(text, text)
	return &c, err
}

// selfSigned is a new key and a certificate for name, in PEM. That of this machine is for all it may be called by.
func selfSigned(name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "semper self-signed"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(developmentTTL),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{name}, BasicConstraintsValid: true,
	}
	if name == localhost {
		t.DNSNames, t.IPAddresses = localca.Machine()
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
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
