package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// shadowed is an app whose releases answer copies of all requests before they get any, with what else its file says of the comparison.
func shadowed(t *testing.T, orders, expect string) string {
	t.Helper()
	dir := app(t, "v1", "", fmt.Sprintf(`deploy:
  judge: { interval: 200ms }
  steps: [{ shadow: 100%%, for: 1s, requests: 100 }]
  shadow:
    again: 100%%
    expect:
      - { path: body.vat, kind: added, why: "shown from now on" }
      - { path: body.items, kind: reordered }
%s`, expect))
	b, err := os.ReadFile(dir + "/semper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(b), "env: { ", fmt.Sprintf("env: { ORDERS: %q, ", orders), 1)
	write(t, dir+"/semper.yaml", yaml, 0o644)
	return dir
}

// orders has clients ask for orders until the returned function is called, which reports answers that are not of the release they name, or a
// copy's, and how many there were of each release.
func (s *server) orders(clients int) func() (of map[string]int, odd []string) {
	var stop atomic.Bool
	var count atomic.Int64
	var mu sync.Mutex
	var odd []string
	of := make(map[string]int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for !stop.Load() {
				release, err := ordered(&c, fmt.Sprintf("http://%s/orders/%d", s.http, 1000+count.Add(1)))
				mu.Lock()
				of[release]++
				if err != nil {
					odd = append(odd, err.Error())
				}
				mu.Unlock()
			}
		})
	}
	return func() (map[string]int, []string) {
		stop.Store(true)
		wg.Wait()
		return of, odd
	}
}

// ordered asks for one order, and reports which release answered.
func ordered(c *http.Client, url string) (release string, err error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	release = resp.Header.Get("X-Semper-Release")
	want := `"shipping":590`
	if release == "r1" {
		want = `"shipping":490`
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Copy") != "" || !strings.Contains(string(b), want) {
		return release, fmt.Errorf("%s of %s, of a copy %q: %s", resp.Status, release, resp.Header.Get("X-Copy"), b)
	}
	return release, nil
}

// verdictPage is the page of a rollout's verdict.
func (s *server) verdictPage(id string) string {
	s.t.Helper()
	return s.page("/verdict/bar/production/" + id)
}

// page is one of semper's own.
func (s *server) page(path string) string {
	s.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.dir+"/api.sock")
	}}}
	resp, err := c.Get("http://semper" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, status %d: %s", err, resp.StatusCode, b)
	}
	return string(b)
}

// byItself is where two answers of the app to one request differ.
var byItself = []string{"body.access_token changed", "body.at changed", "body.contact changed", "body.tags reordered", "body.trace changed"}

// placesOf are the places of a shadow's differences by what they are held for.
func placesOf(j api.Judgement) map[string][]string {
	places := make(map[string][]string)
	for i := range j.Shadow.Places {
		p := &j.Shadow.Places[i]
		places[string(p.Status)] = append(places[string(p.Status)], fmt.Sprintf("%s %s", p.Path, p.Kind))
	}
	return places
}

// TestShadow has a release answer copies of real requests: with one price that is another, a list in another order, a new field that was announced,
// and, as ever, times, identifiers and sets in any order. The price is told, and nothing else, and no client and no reader sees what is not for them.
func TestShadow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", shadowed(t, "", ""))
	stop := s.orders(4)

	s.must("deploy", "-f", shadowed(t, "next", ""), "--detach")
	r := s.ends("d-2")
	j := s.judgement("d-2")
	text := s.must("verify", "show", "d-2")
	if r.State != semper.RolloutFailed || j.Verdict.Outcome != semper.Worse || j.Verdict.Metric != "differences" || j.Shadow == nil {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, text)
	}
	t.Log("\n" + text)
	places := placesOf(j)
	if got := places["different"]; !slices.Equal(got, []string{"body.shipping changed"}) || len(places["new"]) > 0 {
		t.Errorf("undeclared is the change of shipping alone, and told is %v", places)
	}
	// What differs by itself is unknown where the price was proven before there were enough copies to say so.
	for _, place := range slices.Concat(places["noise"], places["unknown"]) {
		if !slices.Contains(byItself, place) {
			t.Errorf("%s does not differ by itself: %v", place, places)
		}
	}
	if sh := j.Shadow; sh.Expected+2*sh.Unanswered < 2*sh.Pairs || len(sh.Stale) > 0 {
		t.Errorf("of %d pairs, %d of them unanswered, each has two differences that are expected: %d; stale: %v", sh.Pairs, sh.Unanswered, sh.Expected, sh.Stale)
	}
	if l := s.status().Ledger["r2"]; l.Accepted != 0 {
		t.Errorf("copies are in the ledger: %+v", l)
	}

	s.nothingSecret("d-2", text)
	if of, odd := stop(); len(odd) > 0 || len(of) != 1 || of["r1"] == 0 {
		t.Errorf("clients got answers of %v, and odd ones: %s", of, strings.Join(odd[:min(3, len(odd))], "; "))
	}

	stop = s.orders(4)
	// Declared, it is no reason. What is declared and does not come is told.
	s.must("deploy", "-f", shadowed(t, "next", "      - { path: body.shipping, was: '490', is: '590', until: 2100-01-01 }\n      - { path: body.discount }\n"), "--detach")
	r = s.ends("d-3")
	j = s.judgement("d-3")
	if of, odd := stop(); len(odd) > 0 || of["r2"] > 0 || of[""] > 0 {
		t.Errorf("clients got answers of %v, and odd ones: %s", of, strings.Join(odd[:min(3, len(odd))], "; "))
	}
	if !r.State.Live() || j.Shadow == nil || len(j.Steps) == 0 || j.Steps[0].Verdict.Outcome != semper.BetterOrEqual {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, s.must("verify", "show", "d-3"))
	}
	if places = placesOf(j); !slices.Equal(slices.Sorted(slices.Values(places["noise"])), byItself) || len(places) != 1 {
		t.Errorf("in %d pairs, what differs by itself is noise, and nothing else is told: %v", j.Shadow.Pairs, places)
	}
	if !slices.Equal(j.Shadow.Stale, []string{"body.discount"}) {
		t.Errorf("stale: %v", j.Shadow.Stale)
	}
}

// nothingSecret looks for what answers had, and nobody may read, in all that tells what differs.
func (s *server) nothingSecret(id, text string) {
	s.t.Helper()
	page, raw := s.verdictPage(id), s.must("verify", "show", id, "-o", "json")
	for name, b := range map[string]string{"verify show": text, "its JSON": raw, "the page": page} {
		if strings.Contains(b, "s3cret") || strings.Contains(b, "@example.com") {
			s.t.Errorf("%s tells a secret:\n%s", name, b)
		}
		for _, want := range []string{"490", "590", "shipping", "masked"} {
			if !strings.Contains(b, want) {
				s.t.Errorf("%s has no %q:\n%s", name, want, b)
			}
		}
	}
}
