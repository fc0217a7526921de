package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Pair is a certificate in two PEM files. Cert holds the chain, its own first, and may hold the key too. Where
// a file NAME.ocsp stands beside NAME.crt, it is the OCSP response (DER) to staple.
type Pair struct {
	Cert, Key string
}

// files are the pairs an operator gave, as they were last read. Its owner guards it.
type files struct {
	pairs []Pair // as configured
	dir   string // whose NAME.crt and NAME.key are pairs too; "" for none
	last  []Pair // all of them, when it could last be told
	have  map[Pair]*loaded
}

// loaded is a pair: what its files looked like, and the last certificate they held that can be used.
type loaded struct {
	stat [3]os.FileInfo // of certificate, key and OCSP response; nil for one that is not there
	cert *certificate
}

// read reads what has changed since the last time, or everything. It returns the certificates in their order, whether
// they are other than before, and what is wrong with which files: of those the certificates from before stay.
func (f *files) read(everything bool) (certs []*certificate, changed bool, err error) {
	pairs, err := f.list()
	errs := []error{err}
	now := make(map[Pair]*loaded, len(pairs))
	for _, p := range pairs {
		was := f.have[p]
		is := &loaded{stat: p.stat()}
		if was != nil {
			is.cert = was.cert
		}
		if was == nil || everything || differ(was.stat, is.stat) {
			c, err := p.load()
			if err != nil {
				errs = append(errs, err)
			} else {
				is.cert, changed = c, true
			}
		}
		now[p] = is
		if is.cert != nil {
			certs = append(certs, is.cert)
		}
	}
	for p := range f.have {
		changed = changed || now[p] == nil
	}
	f.have, f.last = now, pairs
	return certs, changed, errors.Join(errs...)
}

// list is the pairs there are now. When the directory cannot be read it is those there were.
func (f *files) list() ([]Pair, error) {
	pairs := append([]Pair(nil), f.pairs...)
	if f.dir == "" {
		return pairs, nil
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.last, fmt.Errorf("certificates in %s: %w; those read before stay", f.dir, err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".crt"); ok && name != "" {
			base := filepath.Join(f.dir, name)
			pairs = append(pairs, Pair{Cert: base + ".crt", Key: base + ".key"})
		}
	}
	return pairs, nil
}

func (p Pair) ocsp() string { return strings.TrimSuffix(p.Cert, filepath.Ext(p.Cert)) + ".ocsp" }

func (p Pair) stat() (s [3]os.FileInfo) {
	for i, name := range []string{p.Cert, p.Key, p.ocsp()} {
		if info, err := os.Stat(name); err == nil {
			s[i] = info
		}
	}
	return s
}

// differ reports whether a file was replaced or written to. A write that keeps length and time is not seen; Reload
// reads everything.
func differ(a, b [3]os.FileInfo) bool {
	for i := range a {
		switch {
		case (a[i] == nil) != (b[i] == nil):
			return true
		case a[i] == nil:
		case !os.SameFile(a[i], b[i]), a[i].Size() != b[i].Size(), !a[i].ModTime().Equal(b[i].ModTime()):
			return true
		}
	}
	return false
}

func (p Pair) load() (*certificate, error) {
	key := p.Key
	if key == "" {
		key = p.Cert
	}
	c, err := tls.LoadX509KeyPair(p.Cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.Cert, key, err)
	}
	staple, err := os.ReadFile(p.ocsp())
	if err == nil {
		c.OCSPStaple = staple
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	return newCertificate(&c, FromFile), nil
}
