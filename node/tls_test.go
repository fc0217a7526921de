package node

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/internal/handoff"
)

func TestHostsAreThoseOfAllRoutes(t *testing.T) {
	t.Parallel()
	table := semper.Table{
		Routes: []semper.Route{{Host: "b.test", Path: "/"}, {Host: "a.test", Path: "/"}, {Host: "b.test", Path: "/x"}},
		Rules:  []semper.Route{{Host: "c.test", Path: "/old"}, {Path: "/"}},
	}
	if got := hosts(table); !slices.Equal(got, []string{"", "a.test", "b.test", "c.test"}) {
		t.Errorf("%q", got)
	}
}

func TestWorstIsTold(t *testing.T) {
	t.Parallel()
	soon, late := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	got := worst([][]api.Certificate{
		{{Host: "a", Source: "acme", NotAfter: late}, {Host: "b", Source: "acme", NotAfter: late}, {Host: "c", Source: "local"}},
		{{Host: "a", Source: "acme", NotAfter: soon}, {Host: "b", Source: "acme", NotAfter: late, Error: "limit"}, {Host: "c"}},
	})
	want := []api.Certificate{{Host: "a", Source: "acme", NotAfter: soon}, {Host: "b", Source: "acme", NotAfter: late, Error: "limit"}, {Host: "c"}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// named is a listening socket with a name, and its port.
func named(t *testing.T, name string) (handoff.Socket, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the socket is a copy
	s, err := handoff.FromListener(name, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { handoff.Close([]handoff.Socket{s}) })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

func TestAuthorityOfTheCommandLine(t *testing.T) {
	t.Parallel()
	plain, http := named(t, "http")
	secure, https := named(t, "https")
	second, _ := named(t, "https")
	a, err := ACME{Authority: "staging", Email: "ops@example.com"}.acme([]handoff.Socket{plain, secure, second})
	if err != nil || a.CA != staging || a.NoHTTP01 || a.HTTPPort != http || a.TLSPort != https || a.Host != "127.0.0.1" || !a.Agreed {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := (ACME{Authority: "letsencrypt"}).acme([]handoff.Socket{secure}); err != nil || a.CA != "" || !a.NoHTTP01 {
		t.Errorf("without a socket for HTTP: %+v, %v", a, err)
	}
	if a, err := (ACME{}).acme(nil); a != nil || err != nil {
		t.Errorf("none: %+v, %v", a, err)
	}
	if _, err := (ACME{Authority: "https://ca.test/dir", Roots: "/nonexistent"}).acme(nil); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("roots that are not there: %v", err)
	}
}
