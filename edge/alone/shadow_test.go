package alone

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"semper/edge/mirror/told"
)

// priced is an upstream that answers with a price, and a number that is another one each time.
func priced(t *testing.T, price int, marked *atomic.Int64) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Semper-Shadow") == "1" {
			marked.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"price":%d,"n":%d,"at":%d,"token":"s3cret-%d"}`, price, n.Add(1), time.Now().UnixNano(), price)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestClaimsOfAShadow: another pool gets copies, clients never its answers, and what differs is told; after a reload without, nothing is copied.
func TestClaimsOfAShadow(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"epoll", "goroutine"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			var live, copies atomic.Int64
			file := fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: {upstreams: %s, shadow: {to: next, ignore: body.n}}, next: %s}\nroutes: [{to: app}, {path: /quiet, to: app, shadow: off}]\n",
				priced(t, 1, &live), priced(t, 2, &copies))
			r := launch(t, file, "-driver", driver, "-metrics", "127.0.0.1:0")
			at := r.ready()
			c := client(t)
			ask := func(path string) {
				if status, text, _ := get(t, c, "http://"+at["http"][0]+path); status != http.StatusOK || !strings.HasPrefix(text, `{"price":1,`) {
					t.Fatalf("a client got %d %s", status, text)
				}
			}
			const asked = 20
			for range asked {
				ask("/items")
				ask("/quiet")
			}
			var one told.Counts
			var text string
			for late := time.Now().Add(30 * time.Second); ; {
				var all []told.Counts
				_, text, _ = get(t, c, "http://"+at["metrics"][0]+"/shadows")
				if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 {
					t.Fatalf("%v: %s", err, text)
				}
				if one = all[0]; one.Pairs+one.Dropped["busy"]+one.Dropped["no-answer"] == asked {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("not all of them became pairs: %s", text)
				}
			}
			if one.Pool != "app" || one.Release != "next" || one.Sampled != asked || one.Copies != one.Pairs || copies.Load() == 0 || live.Load() == 0 || strings.Contains(text, "s3cret") {
				t.Errorf("%d and %d copies were asked: %s", copies.Load(), live.Load(), text)
			}
			seen := map[string][2]int64{}
			for _, p := range one.Places {
				seen[p.Path.String()] = [2]int64{p.Candidate, p.Noise}
			}
			if p := seen["body.price"]; p[0] != int64(one.Copies) || p[1] != 0 || seen["body.at"][0] != 0 || seen["body.at"][1] == 0 || len(seen) != 3 {
				t.Errorf("what differs: %s", text)
			}
			r.write("edge.yaml", strings.Replace(file, ", shadow: {to: next, ignore: body.n}", "", 1))
			r.signal(syscall.SIGHUP)
			r.ready()
			before := copies.Load()
			for range asked {
				ask("/items")
			}
			if copies.Load() != before {
				t.Errorf("%d copies after the reload", copies.Load()-before)
			}
		})
	}
}
