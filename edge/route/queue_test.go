package route

import (
	"net/http"
	"net/netip"
	"testing"
)

// Only who has no address, which is nobody beyond this machine, can name a queue.
func TestQueuesAreAskedForFromWithinOnly(t *testing.T) {
	t.Parallel()
	m := compile(t, to("any", Match{}), to("host", Match{Hosts: []string{"a.example"}, Path: "/jobs"}), to("shop", Match{Queue: "shop/production/web"}))
	outside := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct {
		client netip.Addr
		queue  string
		want   string
	}{
		{netip.Addr{}, "shop/production/web", "shop"},
		{netip.Addr{}, "gone/production/web", "none"},
		{netip.Addr{}, "", "host"},
		{outside, "shop/production/web", "host"},
		{outside, "gone/production/web", "host"},
	} {
		fields := http.Header{}
		if tc.queue != "" {
			fields.Set("Semper-Queue", tc.queue)
		}
		q := ask("POST http://a.example/jobs/1", fields)
		q.Client = tc.client
		if got := nameOf(m.Match(q)); got != tc.want {
			t.Errorf("client %v, queue %q: %s, want %s", tc.client, tc.queue, got, tc.want)
		}
	}
	if _, err := Compile([]Rule{to("a", Match{Queue: "q"}), to("b", Match{Queue: "q"})}); err == nil {
		t.Error("one queue has two rules")
	}
}
