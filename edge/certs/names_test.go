package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// served is whom the certificate is from that a client gets which asks for name: a source, or "refused".
func served(t *testing.T, m *Manager, name string) string {
	t.Helper()
	c, err := m.answer(context.Background(), hello(name))
	switch {
	case err != nil:
		t.Errorf("%s: %v", name, err)
		return ""
	case c == nil:
		return "refused"
	case name != "" && c.Leaf.VerifyHostname(name) != nil:
		return "another's"
	case strings.HasPrefix(c.Leaf.Issuer.CommonName, "semper local authority"):
		return "local"
	}
	return "acme"
}

// TestNamesComeAndGo: certificates follow the names, and nothing of one that is gone is done any more.
func TestNamesComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, ca: newCA(t), tries: make(chan int, 1000), do: func(int) (bool, error) { return true, nil }}
		m, err := newManager(Options{Dir: t.TempDir(), Local: true, ACME: &ACME{Agreed: true}}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if got := served(t, m, "a.example.com"); got != "another's" {
			t.Errorf("before it is named: %s", got)
		}
		m.SetNames([]string{"a.example.com", "B.Example.com.", "c.localhost", "*.d.example.com", "a.example.com"})
		synctest.Wait()
		for name, want := range map[string]string{
			"a.example.com": "acme", "b.example.com": "acme", "c.localhost": "local", "x.d.example.com": "local", "x.y.d.example.com": "another's",
			"e.example.com": "another's", "": "acme",
		} {
			if got := served(t, m, name); got != want {
				t.Errorf("%q: %s, want %s", name, got, want)
			}
		}
		if n := len(s.at()); n != 2 {
			t.Errorf("the authority was asked %d times, want 2", n)
		}
		m.SetNames([]string{"b.example.com", ""})
		for name, want := range map[string]string{"a.example.com": "local", "b.example.com": "acme", "e.example.com": "local", "not a name": "another's"} {
			if got := served(t, m, name); got != want {
				t.Errorf("afterwards %q: %s, want %s", name, got, want)
			}
		}
		before := len(s.at())
		time.Sleep(time.Hour) // b is looked at several times, a is not
		if looks := len(s.at()) - before; looks < 4 || looks > 9 {
			t.Errorf("%d looks within an hour at one name", looks)
		}
		m.SetNames(nil)
		synctest.Wait()
		before = len(s.at())
		time.Sleep(time.Hour)
		if len(s.at()) != before {
			t.Error("a name that is gone is still seen to")
		}
	})
}

// TestStandings: trouble is told with what to do, and a client gets the local certificate meanwhile.
func TestStandings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dns := acme.Problem{Type: acme.ProblemTypeDNS, Detail: "no such name"}
		s := &script{t: t, ca: newCA(t), tries: make(chan int, 1000), do: func(try int) (bool, error) { return try > 1, map[bool]error{true: fmt.Errorf("a: %w", dns)}[try == 1] }}
		m, err := newManager(Options{Dir: t.TempDir(), Local: true, ACME: &ACME{Agreed: true}}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.SetNames([]string{"a.example.com", "*.example.org", "localhost"})
		if got := served(t, m, "a.example.com"); got != "local" {
			t.Errorf("while there is none: %s", got)
		}
		synctest.Wait()
		all := m.Standings()
		if len(all) != 3 || all[1].Name != "a.example.com" {
			t.Fatalf("%+v", all)
		}
		if a := all[1]; a.Source != Local || a.Err == nil || !strings.Contains(a.Advice, "cannot resolve") || a.Next.Before(time.Now()) {
			t.Errorf("in trouble: %+v", a)
		}
		if w := all[0]; w.Source != Local || w.Err != nil || !strings.Contains(w.Advice, "wildcard") {
			t.Errorf("a wildcard: %+v", w)
		}
		if l := all[2]; l.Source != Local || l.Err != nil || l.Advice != "" {
			t.Errorf("this machine: %+v", l)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if a := m.Standings()[1]; a.Source != FromACME || a.Err != nil || a.Advice != "" || a.NotAfter.IsZero() {
			t.Errorf("afterwards: %+v", a)
		}
	})
}

// TestAFileComesFirst: nobody is asked for what a file has.
func TestAFileComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, ca: newCA(t), tries: make(chan int, 1000), do: func(int) (bool, error) { return true, nil }}
		dir := t.TempDir()
		s.ca.write(t, dir, "wild", "ecdsa", "*.example.com")
		m, err := newManager(Options{Dir: t.TempDir(), FilesDir: dir, Local: true, ACME: &ACME{Agreed: true}}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.SetNames([]string{"a.example.com", "*.example.com"})
		synctest.Wait()
		if n := len(s.at()); n != 0 {
			t.Errorf("the authority was asked %d times", n)
		}
		if all := m.Standings(); len(all) != 2 || all[0].Source != FromFile || all[1].Source != FromFile || all[0].Advice != "" {
			t.Errorf("%+v", all)
		}
		for _, f := range []string{"wild.crt", "wild.key"} {
			if err := os.Remove(filepath.Join(dir, f)); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Reload(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(s.at()); n != 1 {
			t.Errorf("without the file the authority was asked %d times, want once", n)
		}
	})
}

// late is a storage that does not answer until it is let.
type late struct {
	File
	up chan struct{}
}

func (l late) answers() error {
	select {
	case <-l.up:
		return nil
	default:
		return fs.ErrPermission
	}
}

func (l late) Load(ctx context.Context, key string) ([]byte, error) {
	if err := l.answers(); err != nil {
		return nil, err
	}
	return l.File.Load(ctx, key)
}

func (l late) Lock(ctx context.Context, name string) (Lease, error) {
	if err := l.answers(); err != nil {
		return nil, err
	}
	return l.File.Lock(ctx, name)
}

// TestALateStorage: an edge that begins before its store serves by itself, and shares with the others within seconds of the
// store's coming: their tickets, and their local authority.
func TestALateStorage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := late{File{Dir: t.TempDir()}, make(chan struct{})}
		root := filepath.Join(t.TempDir(), "ca.crt")
		open := func(s Storage, root string) *Manager {
			m, err := New(Options{Storage: s, Local: true, RootFile: root})
			if err != nil {
				t.Fatal(err)
			}
			m.SetNames([]string{""})
			return m
		}
		m := open(l, root)
		defer m.Close()
		if got := served(t, m, "a.example.com"); got != "local" {
			t.Errorf("without its storage: %s", got)
		}
		if _, err := os.Stat(root); err == nil {
			t.Error("an authority that will be another's is shown to be trusted")
		}
		other := open(l.File, "")
		defer other.Close()
		close(l.up)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		text, err := os.ReadFile(root)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		for i, m := range []*Manager{m, other} {
			c, err := m.answer(context.Background(), hello("a.example.com"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.example.com"}); err != nil {
				t.Errorf("edge %d: %v", i, err)
			}
		}
		keys := func(m *Manager) []ticketKey { m.mu.Lock(); defer m.mu.Unlock(); return m.tickets }
		if a, b := keys(m), keys(other); !slices.EqualFunc(a, b, func(x, y ticketKey) bool { return x.Key == y.Key }) {
			t.Error("tickets of one are not the other's")
		}
	})
}

// TestLocalNamesAreNotCoalesced: a connection for one name carries no requests for another that has a certificate of its own.
func TestLocalNamesAreNotCoalesced(t *testing.T) {
	t.Parallel()
	m, err := New(Options{Dir: t.TempDir(), Local: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.SetNames([]string{"a.test", "b.test"})
	for _, c := range []struct {
		sni, host string
		want      bool
	}{{"a.test", "a.test", true}, {"a.test", "A.test:8443", true}, {"a.test", "b.test", false}, {"", "b.test", true}} {
		if got := m.SameCertificate(tls.ConnectionState{ServerName: c.sni}, c.host); got != c.want {
			t.Errorf("%q on a connection for %q: %t", c.host, c.sni, got)
		}
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		acme.ProblemTypeRateLimited: "limit", acme.ProblemTypeCAA: "CAA", acme.ProblemTypeRejectedIdentifier: "file", acme.ProblemTypeDNS: "resolve",
		acme.ProblemTypeConnection: "ports 80 and 443", acme.ProblemTypeUnauthorized: "ports 80 and 443", acme.ProblemTypeExternalAccountRequired: "account",
	} {
		if got := advice(fmt.Errorf("obtain: %w", acme.Problem{Type: kind})); !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := advice(errNo); !strings.Contains(got, "reached") {
		t.Errorf("anything else: %q", got)
	}
}
