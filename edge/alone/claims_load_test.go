package alone

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestClaimsOfClass: in the scarce room, and in the scarce line, background gives way first, then normal.
func TestClaimsOfClass(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		hasty, patient := newLaden(t), newLaden(t)
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
defaults: {max_in_flight: 10}
pools: {hasty: %s, patient: %s}
routes:
  - {path: /hasty/background, to: hasty, class: background}
  - {path: /hasty/normal, to: hasty}
  - {path: /hasty/critical, to: hasty, class: critical}
  - {path: /patient/background, to: patient, class: background, queue: {length: 10, deadline: 1m}}
  - {path: /patient/normal, to: patient, queue: {length: 10, deadline: 1m}}
  - {path: /patient/critical, to: patient, class: critical, queue: {length: 10, deadline: 1m}}
`, hasty.Listener.Addr(), patient.Listener.Addr()), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		answers := make(chan int, 64)
		var asked sync.WaitGroup
		ask := func(n int, path string) {
			for range n {
				asked.Go(func() {
					resp, err := c.Get(at + path)
					if err != nil {
						answers <- 0
						return
					}
					readAll(t, resp)
					answers <- resp.StatusCode
				})
			}
		}
		refused := func(n int, what string) {
			t.Helper()
			for range n {
				if got := <-answers; got != http.StatusServiceUnavailable {
					t.Errorf("%s: %d", what, got)
				}
			}
		}
		for _, step := range []struct {
			class   string
			in, all int64
		}{{"background", 5, 5}, {"normal", 4, 9}, {"critical", 1, 10}} {
			ask(int(step.in)+2, "/hasty/"+step.class)
			refused(2, "too much "+step.class)
			eventually(t, func() bool { return hasty.now.Load() == step.all })
		}
		ask(10, "/patient/critical")
		eventually(t, func() bool { return patient.now.Load() == 10 })
		for class, n := range map[string]int{"background": 5} {
			ask(n+2, "/patient/"+class)
			refused(2, "too much "+class+" in line")
		}
		ask(4+2, "/patient/normal")
		refused(2, "too much normal in line")
		ask(1+2, "/patient/critical")
		refused(2, "too much critical in line")
		close(hasty.go1)
		close(patient.go1)
		asked.Wait()
		close(answers)
		served := 0
		for got := range answers {
			if got != http.StatusOK {
				t.Errorf("one that was let in: %d", got)
			}
			served++
		}
		if served != 30 || hasty.most.Load() != 10 || patient.most.Load() != 10 {
			t.Errorf("%d were served, with %d and %d in hand at once", served, hasty.most.Load(), patient.most.Load())
		}
	})
}

// TestClaimsOfTheBudget: the routes to a pool together retry no more than a share of its requests, and one with less stops sooner.
func TestClaimsOfTheBudget(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var asked atomic.Int64
		ill := func() string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {app: [%s, %s], other: %s}
routes:
  - {path: /one, to: app, retry: {tries: 2, on: [503], share: 0.2, floor: 0}}
  - {path: /two, to: app, retry: {tries: 2, on: [503], share: 0.2, floor: 0}}
  - {path: /less, to: app, retry: {tries: 2, on: [503], share: 0.05, floor: 0}}
  - {path: /off, to: other, retry: off}
`, ill(), ill(), ill()), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		again := func(n int, paths ...string) int64 {
			before := asked.Load()
			for i := range n {
				get(t, c, at+paths[i%len(paths)])
			}
			return asked.Load() - before - int64(n)
		}
		if got := again(20, "/off"); got != 0 {
			t.Errorf("retry: off, and %d were tried again", got)
		}
		if got := again(100, "/one", "/two"); got == 0 || got > 20 {
			t.Errorf("of 100 requests by two routes %d were tried again, of 20 that may be", got)
		}
		if got := again(20, "/less"); got != 0 { // its share of what is remembered is used up, and more
			t.Errorf("%d more were tried again by a route that may have less", got)
		}
	})
}

// TestClaimsOfHedging: a second upstream is asked where the first is slow, and the log and the metrics say so.
func TestClaimsOfHedging(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var stuck atomic.Int64
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			stuck.Add(1)
			<-r.Context().Done()
			stuck.Add(-1)
		}))
		t.Cleanup(slow.Close)
		quick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-App", "quick")
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(b)
		}))
		t.Cleanup(quick.Close)
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
log: {access: access.log}
pools: {app: {upstreams: [%s, %s], outlier: {consecutive: off}}}
defaults: {balance: round-robin, retry: {share: 1, floor: 100}, timeouts: {response: 2s}}
routes:
  - {to: app, hedge: {after: 20ms, share: 1}}
  - {path: /content, to: app, hedge: {after: 20ms, share: 1, content: 1KiB}}
`, slow.Listener.Addr(), quick.Listener.Addr()), "-driver", driver, "-metrics", "127.0.0.1:0")
		at := r.ready()
		c := client(t)
		ask := func(method, path, body string) (int, string) {
			q, err := http.NewRequest(method, "http://"+at["http"][0]+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, readAll(t, resp)
		}
		small, large := strings.Repeat("small ", 100), strings.Repeat("large ", 1000)
		for range 4 { // in turns; who is second goes to the quick one
			for _, q := range []struct{ method, path, body string }{{"GET", "/", ""}, {"DELETE", "/", ""}, {"PUT", "/content", small}} {
				if status, got := ask(q.method, q.path, q.body); status != http.StatusOK || got != q.body {
					t.Errorf("%s %s: %d with %d bytes", q.method, q.path, status, len(got))
				}
			}
		}
		lines := func() (all []map[string]any) {
			b, err := os.ReadFile(filepath.Join(r.dir, "access.log"))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				fields := map[string]any{}
				if json.Unmarshal([]byte(line), &fields) == nil {
					all = append(all, fields)
				}
			}
			return all
		}
		told := map[any]int{}
		eventually(t, func() bool { return len(lines()) == 12 })
		for _, l := range lines() {
			told[l["hedge"]]++
		}
		_, text, _ := get(t, c, "http://"+at["metrics"][0]+"/metrics")
		won := 0
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "semper_edge_hedges_won_total{") && strings.Contains(line, "http_route=") {
				n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
				if err != nil {
					t.Error(err)
				}
				won += n
			}
		}
		if told["won"] == 0 || told["won"] != won {
			t.Errorf("the log tells %v, the metrics of %d that were won", told, won)
		}
		eventually(t, func() bool { return stuck.Load() == 0 }) // the one that is beaten is told
		late := 0
		for range 2 { // one of the two goes to the slow one, and stays there
			for _, q := range []struct{ method, path, body string }{{"POST", "/content", small}, {"PUT", "/", small}, {"PUT", "/content", large}} {
				if status, _ := ask(q.method, q.path, q.body); status == http.StatusGatewayTimeout {
					late++
				}
			}
		}
		if late != 3 {
			t.Errorf("of two each that are not hedged %d were late, of 3", late)
		}
	})
}
