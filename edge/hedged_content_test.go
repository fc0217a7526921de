package edge

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/route"
)

// TestContentIsHedged: both instances get all of it, whether its length was told or not, with what stands behind it.
func TestContentIsHedged(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"little": 10, "as much as may be": route.MostHedged} {
		for _, told := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", without its length"}[told], func(t *testing.T) {
				t.Parallel()
				ways(t, func(t *testing.T, way func(*Options)) {
					var mu sync.Mutex
					var got []string
					free := make(chan struct{}) // closed with the second
					h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						b, err := io.ReadAll(r.Body)
						mu.Lock()
						got = append(got, string(b)+r.Trailer.Get("X-Sum"))
						first := len(got) == 1
						mu.Unlock()
						if err != nil {
							t.Error(err)
						}
						if first {
							select {
							case <-r.Context().Done():
							case <-free:
							}
							return
						}
						defer close(free)
						io.WriteString(w, "second") //nolint:errcheck // the client checks
					})
					f := newFixture(t, way)
					f.goBy(pools("web", start(t, "tcp", "web.r1.1", h), start(t, "unix", "web.r1.2", h)), hedged(func(p *route.Policy) { p.Hedge.Content = route.MostHedged }))
					content := strings.Repeat("x", size)
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.url("/"), bytes.NewReader([]byte(content)))
					if err != nil {
						t.Fatal(err)
					}
					want := content
					if !told {
						req.ContentLength = -1
						req.Trailer, want = http.Header{"X-Sum": {"sum"}}, content+"sum"
					}
					resp, err := client(t).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					drainBody(t, resp)
					if resp.StatusCode != 200 {
						t.Error(resp.Status)
					}
					if l := f.booked("web"); l != (semper.Ledger{Accepted: 1, Served: 1}) {
						t.Errorf("%+v", l)
					}
					mu.Lock()
					defer mu.Unlock()
					if len(got) != 2 || got[0] != want || got[1] != want {
						t.Errorf("%d tries, with %d bytes and more, want two with %d", len(got), len(got[0]), len(want))
					}
				})
			})
		}
	}
}

// TestContentIsHedgedWhenAllOfItHasCome: as long as the client sends, nobody can say that the instance is slow.
func TestContentIsHedgedWhenAllOfItHasCome(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		f := newFixture(t, way)
		var asked, whole atomic.Int64
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := asked.Add(1) == 1
			if b, err := io.ReadAll(r.Body); err == nil && string(b) == "abcd" {
				whole.Add(1)
			}
			if first {
				<-r.Context().Done()
			}
		})
		f.goBy(pools("web", start(t, "tcp", "web.r1.1", h), start(t, "tcp", "web.r1.2", h)), hedged(func(p *route.Policy) { p.Hedge.Content = 4 }))
		content, in := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.url("/"), content)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 4
		var all sync.WaitGroup
		all.Go(func() {
			resp, err := client(t).Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			if drainBody(t, resp); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
		})
		say := func(text string) {
			if _, err := io.WriteString(in, text); err != nil {
				t.Error(err)
			}
		}
		say("ab")
		eventually(t, "one is asked", func() bool { return asked.Load() == 1 })
		<-time.After(20 * time.Millisecond) // far behind the delay
		if n := asked.Load(); n != 1 {
			t.Errorf("%d are asked before the client has said all", n)
		}
		say("cd")
		in.Close() //nolint:errcheck // cannot fail
		all.Wait()
		eventually(t, "both have all of it", func() bool { return asked.Load() == 2 && whole.Load() == 2 })
	})
}
