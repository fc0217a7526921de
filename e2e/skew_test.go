package e2e_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// page is an app whose clients stay with the release that they know for a window.
func page(t *testing.T, version, window string) string {
	t.Helper()
	dir := app(t, version, "", "")
	file := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(b), "{ path: /, to: web }", "{ path: /, to: web, sticky: { by: release, for: "+window+" } }", 1)
	write(t, file, strings.Replace(yaml, "warm: 1m", "warm: 10m", 1), 0o644)
	return dir
}

// A visitor is a client that keeps cookies, as a browser does.
type visitor struct {
	s *server
	http.Client
}

func (s *server) visitor() *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	tr := &http.Transport{}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &visitor{s, http.Client{Jar: jar, Transport: tr, Timeout: 60 * time.Second}}
}

// sees is the release that serves it.
func (v *visitor) sees() string {
	v.s.t.Helper()
	resp, err := v.Get("http://" + v.s.http + "/")
	if err != nil {
		v.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		v.s.t.Fatalf("%s: %s (%v)", resp.Status, b, err)
	}
	rel, _, _ := strings.Cut(string(b), " ")
	return rel
}

func (v *visitor) wants(rel, when string) {
	v.s.t.Helper()
	for range 5 {
		if got := v.sees(); got != rel {
			v.s.t.Fatalf("%s: it is served by %s, want %s", when, got, rel)
		}
	}
}

// TestAPageStaysWithItsReleaseForAWindow is version skew: who has loaded a page of r1 goes on with r1 for a while, and nobody fails.
func TestAPageStaysWithItsReleaseForAWindow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", page(t, "one", "10m"))
	stop := s.load(4)
	early := s.visitor()
	early.wants("r1", "before")

	s.must("deploy", "-f", page(t, "two", "10m"))
	late := s.visitor()
	early.wants("r1", "in the window")
	late.wants("r2", "new in the window")
	if st := s.status(); st.PinnedUntil.IsZero() || st.Previous != "r1" {
		t.Errorf("status: %s until %s", st.Previous, st.PinnedUntil)
	}
	if out := s.must("status"); !strings.Contains(out, "sticks to it until") {
		t.Errorf("status does not tell of the window:\n%s", out)
	}

	s.must("rollback", "-y")
	early.wants("r1", "after the rollback")
	late.wants("r1", "who knows what was turned back from")
	s.visitor().wants("r1", "new after the rollback")
	if st := s.status(); !st.PinnedUntil.IsZero() {
		t.Errorf("clients stick to %s after the rollback", st.Previous)
	}

	// A short window, which ends by itself while the release is warm.
	s.must("deploy", "-f", page(t, "three", "2s"))
	s.visitor().wants("r3", "new, with a short window")
	eventually(t, "the window ends", func() bool { return s.status().PinnedUntil.IsZero() })
	early.wants("r3", "after the window")
	if st := s.status(); !st.Warm || st.Previous != "r1" {
		t.Errorf("with its window the release before ended: warm %t, %s", st.Warm, st.Previous)
	}

	s.must("deploy", "-f", page(t, "four", "10m"))
	early.wants("r3", "in a long window")
	s.must("promote")
	eventually(t, "the edge has heard of it", func() bool { return early.sees() == "r4" }) // promote does not wait for it
	early.wants("r4", "after promote")
	eventually(t, "the release before ends", func() bool {
		st := s.status()
		return !st.Warm && len(st.Instances) == 2
	})
	none(t, "deploys with windows, and a rollback", stop)
	for rel, c := range s.status().Ledger {
		if c.EdgeErrors+c.Cut+c.Shed+c.AppErrors > 0 {
			t.Errorf("ledger of %s: %+v", rel, c)
		}
	}
}
