package edge

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"semper"
	"semper/edge/ledger"
)

// TestCutoverIsAtomic flips between two releases under load: every answer is whole and of one release,
// and a request sent after Apply returned never gets the release that was left out.
func TestCutoverIsAtomic(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := func(release int) http.HandlerFunc {
		word := fmt.Sprintf("r%d ", release)
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // its end
			n := 1
			if r.URL.Path == "/big" {
				n = 20_000
			}
			io.WriteString(w, strings.Repeat(word, n)) //nolint:errcheck // the client checks
		}
	}
	var backends [3][]semper.Backend
	for r := 1; r <= 2; r++ {
		for i := range 3 {
			network := "tcp"
			if i == 0 {
				network = "unix"
			}
			backends[r] = append(backends[r], start(t, network, fmt.Sprintf("web.r%d.%d", r, i), long(r)).Backend)
		}
	}
	f.table(1, nil, backends[1]...)
	// acked is the epoch that Apply has returned for; odd epochs are r1, even ones r2.
	var acked atomic.Int64
	acked.Store(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var answers atomic.Int64
	for range 24 {
		wg.Go(func() {
			c := client(t)
			for ctx.Err() == nil {
				path, method := "/", http.MethodGet
				if rand.IntN(4) == 0 {
					path = "/big"
				}
				var body io.Reader
				if rand.IntN(3) == 0 {
					method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", rand.IntN(100_000)))
				}
				req, err := http.NewRequest(method, f.url(path), body)
				if err != nil {
					t.Error(err)
					return
				}
				before := acked.Load()
				resp, err := c.Do(req)
				if err != nil {
					t.Errorf("%s %s: %v", method, path, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close() //nolint:errcheck // read
				after := acked.Load()
				name := resp.Header.Get("X-Semper-Release")
				if err != nil || resp.StatusCode != 200 || strings.TrimSpace(strings.ReplaceAll(string(b), name, "")) != "" || name == "" {
					t.Errorf("%s %s: %s, %d bytes of %q, %v", method, path, resp.Status, len(b), name, err)
					return
				}
				// With no swap under way meanwhile, only one release may have answered. One swap may be in
				// the middle of Apply after "after" was read, hence the room of one.
				if want := semper.NameRelease(int(2 - before%2)); before == after && string(want) != name && after == int64(f.Epoch()) {
					t.Errorf("sent after epoch %d was acknowledged, answered by %s", before, name)
					return
				}
				answers.Add(1)
			}
		})
	}
	for n := range 60 {
		release := 2 - n%2
		seen := answers.Load()
		f.table(release, nil, backends[release]...)
		acked.Store(int64(f.Epoch()))
		eventually(t, "traffic goes on", func() bool { return answers.Load() > seen+20 || t.Failed() })
	}
	cancel()
	wg.Wait()
	one, two := f.settled(1), f.settled(2)
	sum := one.Add(two)
	if sum.Accepted != sum.Served || int64(sum.Served) < answers.Load() || one.Served == 0 || two.Served == 0 {
		t.Errorf("%d answers, ledger r1 %+v, r2 %+v", answers.Load(), one, two)
	}
	eventually(t, "the release left out is forgotten", func() bool {
		f.registry.Lock()
		defer f.registry.Unlock()
		return len(f.backends) == 3
	})
}

// TestAcknowledgedMeansNobodyNew checks the promise an orchestrator stops instances by: once Apply has
// returned, what is in flight to the release left out only falls.
func TestAcknowledgedMeansNobodyNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	slow := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		io.WriteString(w, "r1") //nolint:errcheck // the client checks
	}))
	fast := start(t, "tcp", "web.r2.1", says(2))
	f.table(1, nil, slow.Backend)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 16 {
		wg.Go(func() {
			c := client(t)
			for ctx.Err() == nil {
				resp, err := c.Get(f.url("/"))
				if err != nil {
					t.Error(err)
					return
				}
				drainBody(t, resp)
			}
		})
	}
	for range 16 {
		<-arrived
	}
	f.table(2, nil, fast.Backend)
	held := f.State().InFlight[slow.ID][semper.ClassRequest]
	if held != 16 || len(arrived) != 0 {
		t.Errorf("%d in flight to the old instance, %d arrived late; want 16 and none", held, len(arrived))
	}
	close(release)
	eventually(t, "the old instance is free", func() bool { return f.State().InFlight[slow.ID] == nil })
	cancel()
	wg.Wait()
	if len(arrived) != 0 {
		t.Errorf("%d requests reached the old instance after the acknowledged cutover", len(arrived))
	}
	if l := f.settled(1); l.Accepted != 16 || l.Served != 16 || ledger.InFlight(l) != 0 {
		t.Errorf("%+v", l)
	}
}
