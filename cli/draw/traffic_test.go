package draw_test

import (
	"strings"
	"testing"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func traffic() api.Traffic {
	return api.Traffic{Silent: []string{"edge-2\x1b[2J"}, Rows: []api.TrafficRow{
		{Status: api.TrafficStatuses{ClientError: 3}, Rate10: .04},
		{App: "shop", Environment: "production", Service: "web", Release: "r9", Route: "shop.example/", InFlight: 12, Rate1: 12345, Rate10: 1234.5, Rate60: 9.94,
			Status: api.TrafficStatuses{Success: 9990, Redirect: 9}, Latency: api.TrafficLatency{P50: .00034, P95: .0042, P99: 1.26}},
		{App: "shop", Environment: "production", Service: "web", Release: "r9", Arm: semper.ArmBaseline, Route: "shop.example/", InFlight: 2},
		{App: "shop", Environment: "production", Service: "web", Release: "r10", Arm: semper.ArmCandidate, Route: "shop.example/", InFlight: 1},
		{App: "shop", Environment: "beta", Service: "web", Release: "r10", Route: "beta.example/", Rate1: 1},
	}}
}

const trafficPicture = `! edge-2�[2J does not answer: what it does is missing
POOL           ROUTE          RELEASE        req/s 1s    10s  60s  in flight   2xx   4xx  5xx    p50    p95   p99
-              no route       -                     0   <0.1    0          0    0%  100%   0%      -      -     -
shop/beta/web  beta.example/  r10                 1.0      0    0          0     -     -    -      -      -     -
shop/web       shop.example/  r10 candidate         0      0    0          1     -     -    -      -      -     -
                              r9               12,345  1,234  9.9         12  >99%    0%   0%  340µs  4.2ms  1.3s
                              r9 baseline           0      0    0          2     -     -    -      -      -     -`

func TestTrafficToTheLetter(t *testing.T) {
	t.Parallel()
	if got := strings.Join(draw.Traffic(traffic(), false), "\n"); got != trafficPicture {
		t.Errorf("got\n%s\nwant\n%s", got, trafficPicture)
	}
	if plain := strip(strings.Join(draw.Traffic(traffic(), true), "\n")); plain != trafficPicture {
		t.Errorf("colour changes more than colour:\n%s", plain)
	}
}

// TestRareColumnsAppearWithTheFirstThatSaysSomething: what is lost is never left out.
func TestRareColumnsAppearWithTheFirstThatSaysSomething(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*api.TrafficRow){
		func(r *api.TrafficRow) { r.Retries = 1 }, func(r *api.TrafficRow) { r.Held = 1 },
		func(r *api.TrafficRow) { r.Shed = 1 }, func(r *api.TrafficRow) { r.UpstreamErrors = 1 },
	} {
		tr := traffic()
		change(&tr.Rows[3])
		if got := strings.Join(draw.Traffic(tr, false), "\n"); !strings.Contains(got, "retry  held  shed  err\n") {
			t.Errorf("got\n%s", got)
		}
	}
}

func TestShareNeverRoundsALossAway(t *testing.T) {
	t.Parallel()
	tr := api.Traffic{Rows: []api.TrafficRow{{App: "a", Status: api.TrafficStatuses{Success: 999_999, ServerError: 1}}}}
	if got := strings.Join(draw.Traffic(tr, false), "\n"); !strings.Contains(got, ">99%") || !strings.Contains(got, "<1%") {
		t.Errorf("got\n%s", got)
	}
}
