package edge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"semper"
	"semper/autoscale/waking"
)

// asleep has the pool say that a request wakes its service.
func asleep(s waking.Service, age time.Duration) func(*semper.Table) {
	return func(t *semper.Table) {
		t.Pools[0].Wakes, t.Pools[0].Limits = s.Encode(), semper.HoldLimits{Age: semper.Duration(age), Requests: 3, Rate: 1000}
	}
}

// TestAServiceIsWoken by the first request, which is answered when there is an instance. Who asks if it is well is answered and wakes
// nobody; who may not wait any more is refused.
func TestAServiceIsWoken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := client(t)
	f.table(1, asleep(waking.Service{Health: "/up"}, time.Minute))
	said := httptest.NewServer(f.Control())
	defer said.Close()
	ask := func(path string) (told map[semper.PoolKey]waking.Told) {
		resp, err := http.Get(said.URL + path)
		if err != nil {
			t.Error(err)
			return nil
		}
		if err := json.Unmarshal([]byte(drainBody(t, resp)), &told); err != nil {
			t.Error(err)
		}
		return told
	}
	if resp, body := get(t, c, f.url("/up")); resp.StatusCode != http.StatusOK || resp.Header.Get("X-Semper-Error") != "" {
		t.Errorf("asleep, it is not well: %s %q", resp.Status, body)
	}
	if got := ask("/v1/sleepers"); got[webPool] != (waking.Told{}) {
		t.Errorf("who asks if it is well counts: %+v", got)
	}
	woken := make(chan waking.Told)
	go func() { woken <- ask("/v1/woken")[webPool] }()
	answers := make(chan int)
	for range 3 {
		go func() {
			resp, err := c.Get(f.url("/"))
			if err != nil {
				t.Error(err)
				answers <- 0
				return
			}
			drainBody(t, resp)
			answers <- resp.StatusCode
		}()
	}
	if got := <-woken; got.Waiting == 0 || got.Asked == 0 {
		t.Errorf("nobody is said to wait: %+v", got)
	}
	eventually(t, "three wait", func() bool { return f.State().Held[webPool] == 3 })
	if resp, _ := get(t, c, f.url("/")); resp.Header.Get("X-Semper-Error") != "hold-requests" {
		t.Errorf("a fourth, where three may wait: %s", resp.Status)
	}
	f.table(1, asleep(waking.Service{Health: "/up"}, time.Minute), start(t, "tcp", "web.r1.1", says(1)).Backend)
	for range 3 {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("who waited got %d", status)
		}
	}
	if got := ask("/v1/sleepers")[webPool]; got.Asked < 4 || got.Waiting != 0 {
		t.Errorf("awake: %+v", got)
	}
	for _, failed := range []bool{false, true} {
		f.table(1, asleep(waking.Service{Failed: failed}, 20*time.Millisecond))
		resp, body := get(t, c, f.url("/up"))
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("X-Semper-Error") != "not-awake" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("it does not wake: %s %v %q", resp.Status, resp.Header, body)
		}
	}
}
