package web

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
)

func carried(release semper.ReleaseName, rate float64) api.TrafficRow {
	return api.TrafficRow{
		App: "shop", Environment: "production", Service: "web", Release: release, Route: "shop.example.com/", Rate10: rate,
		Status:  api.TrafficStatuses{Success: 999_999, ServerError: 1},
		Latency: api.TrafficLatency{P50: .00123, P95: .0048, P99: 1.5}, UpstreamErrors: 1234,
	}
}

func TestRateAndLatencyOfEachRelease(t *testing.T) {
	t.Parallel()
	s := stage(t)
	s.Carry(api.Traffic{Rows: []api.TrafficRow{carried("r1", 61), carried("r2", 1204), {App: "blog", Environment: "production", Route: "not-on-this-page"}}})
	res := get(t, Handler(s), "/app/shop/production")
	text := body(t, res)
	checkPage(t, "/app/shop/production", res, text)
	for _, want := range []string{"1,200/s", "61/s", "1.23 ms", "4.8 ms", "1500 ms", "under 1 %", "1,234"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(text, "not-on-this-page") || strings.Index(text, "1,200/s") > strings.Index(text, "61/s") {
		t.Error("another app's traffic is on the page, or the older release stands first")
	}
}

// TestThePageFollowsTraffic: rate and latency alone are reason to send the fragment anew.
func TestThePageFollowsTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "shop", "")
		time.Sleep(3*lookEvery + lookEvery/2)
		b.take(t)
		s.Carry(api.Traffic{Rows: []api.TrafficRow{carried("r2", 50)}})
		time.Sleep(lookEvery)
		names, html, _ := b.take(t)
		same(t, "after a change of what edges do", names, "traffic")
		if !strings.Contains(html["traffic"], "50/s") {
			t.Errorf("the rate is not told: %s", html["traffic"])
		}
		time.Sleep(2 * lookEvery)
		if names, _, _ = b.take(t); len(names) > 0 {
			t.Errorf("sent again though nothing changed: %v", names)
		}
	})
}
