package web

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"semper"
	"semper/api"
)

func TestHealthOf(t *testing.T) {
	t.Parallel()
	current := func(states ...semper.InstanceState) (l []api.Instance) {
		for _, s := range states {
			l = append(l, api.Instance{Role: "current", State: s})
		}
		return append(l, api.Instance{Role: "candidate", State: semper.Starting})
	}
	in := func(s semper.RolloutState) *api.RolloutStatus { return &api.RolloutStatus{State: s} }
	for want, s := range map[string]api.Status{
		"not deployed": {},
		"serving":      {Release: "r1", Instances: current(semper.Ready, semper.Ready), Rollout: in(semper.RolloutWatch)},
		"degraded":     {Release: "r1", Instances: current(semper.Ready, semper.Waiting)},
		"down":         {Release: "r1", Instances: current(semper.NotReady), Hold: semper.Holds{{}}},
		"held":         {Release: "r1", Instances: current(semper.Ready), Hold: semper.Holds{{}}},
		"rolling out":  {Release: "r1", Instances: current(semper.Ready), Rollout: in(semper.RolloutReady)},
		"rolling-back": {Release: "r1", Instances: current(semper.Ready), Rollout: in(semper.RolloutRollingBack)},
	} {
		if got := healthOf(s).Word; got != want {
			t.Errorf("%q is told as %q", want, got)
		}
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	steps := []semper.RolloutStep{
		{State: semper.RolloutStage, At: at, Note: "digest checked"},
		{State: semper.RolloutStart, At: at.Add(1500 * time.Millisecond)},
		{State: semper.RolloutReady, At: at.Add(90 * time.Second)},
	}
	type line struct {
		Word, Shape, Note, Took string
		Now, Ahead              bool
	}
	read := func(ro api.RolloutStatus) (out []line) {
		for _, s := range timeline(&ro) {
			out = append(out, line{s.Mark.Word, s.Mark.Shape, s.Note, s.Took, s.Now, s.Ahead})
		}
		return out
	}
	want := []line{
		{"stage", "check", "digest checked", "1.5s", false, false},
		{"start", "check", meaning(semper.RolloutStart), "1m29s", false, false},
		{"ready", "half", "2 of 3 are ready", "", true, false},
	}
	for _, s := range ahead(semper.RolloutReady) {
		want = append(want, line{string(s), "ring", meaning(s), "", false, true})
	}
	if d := cmp.Diff(want, read(api.RolloutStatus{State: semper.RolloutReady, Step: "ready: 2 of 3 are ready", Steps: steps})); d != "" {
		t.Error("under way:", d)
	}
	failed := append(steps[:3:3], semper.RolloutStep{State: semper.RolloutFailed, At: at.Add(2 * time.Minute)})
	want = append(want[:2:2], line{"ready", "check", meaning(semper.RolloutReady), "30s", false, false}, line{"failed", "cross", "it crashed", "", false, false})
	if d := cmp.Diff(want, read(api.RolloutStatus{State: semper.RolloutFailed, Reason: "it crashed", Steps: failed})); d != "" {
		t.Error("failed:", d)
	}
}

func TestBarsFitAndHideNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1<<40)
		l := semper.Ledger{
			Served: n.Draw(t, "served"), AppErrors: n.Draw(t, "app"), EdgeErrors: n.Draw(t, "edge"),
			Shed: n.Draw(t, "shed"), Cut: n.Draw(t, "cut"), Gone: n.Draw(t, "gone"),
		}
		flight := n.Draw(t, "in flight")
		l.Accepted = flight + l.Served + l.AppErrors + l.EdgeErrors + l.Shed + l.Cut + l.Gone
		row := rowOf("r1", "", l)
		if row.InFlight != flight {
			t.Fatalf("%d in flight, want %d", row.InFlight, flight)
		}
		bar := barOf(row, max(l.Accepted, 1)+n.Draw(t, "more elsewhere"))
		kinds := 0
		for _, c := range []uint64{l.Served, flight, l.Gone, l.AppErrors, l.EdgeErrors, l.Shed, l.Cut} {
			if c > 0 {
				kinds++
			}
		}
		if len(bar) != kinds {
			t.Fatalf("%d segments for %d kinds", len(bar), kinds)
		}
		x := 0.0
		for _, s := range bar {
			if s.W < 5 || math.Abs(s.X-x) > .2 {
				t.Fatalf("segment %+v after %v", s, x)
			}
			x = s.X + s.W
		}
		if x > 1000.5 {
			t.Fatalf("the bar ends at %v", x)
		}
	})
}

func TestTrafficOf(t *testing.T) {
	t.Parallel()
	s := api.Status{App: "a", Release: "r12", Previous: "r11", Warm: true, Ledger: map[semper.ReleaseName]semper.Ledger{}}
	for n := 1; n <= 12; n++ {
		s.Ledger[semper.NameRelease(n)] = semper.Ledger{Accepted: 10, Served: 9, Cut: 1}
	}
	v := trafficOf(s, rates{"r12": 75, "r11": 25})
	if len(v.Rows) != shownReleases+1 || v.Rows[0].Release != "r12" || v.Rows[0].Role != "current" || v.Rows[1].Role != "warm" {
		t.Errorf("rows %+v", v.Rows)
	}
	if older := v.Rows[shownReleases]; older.Release != "" || older.L.Accepted != 40 {
		t.Errorf("the older ones are %+v", older)
	}
	if v.Lost != 12 || v.Total.Accepted != 120 || v.Rate != "100/s" {
		t.Errorf("lost %d of %d at %s", v.Lost, v.Total.Accepted, v.Rate)
	}
	if len(v.Shares) != 2 || v.Shares[0].Bar[0] != (segment{Label: "75 %", X: 0, W: 750}) || v.Shares[1].Bar[0] != (segment{Label: "25 %", X: 750, W: 250}) {
		t.Errorf("shares %+v", v.Shares)
	}
	if v := trafficOf(s, nil); v.Known || v.Shares != nil || v.Rows[0].Rate != "" {
		t.Error("rates are told before they are known")
	}
}

func TestLeadsTo(t *testing.T) {
	t.Parallel()
	words := func(policy string) semper.RouteWords { return semper.RouteWords{Policy: json.RawMessage(policy)} }
	for want, r := range map[string]semper.RouteRule{
		"web": {To: "web"}, "api": {To: "api", RouteWords: words(`{"queue":{"length":5}}`)}, "answered here": {},
		"next 10 : web 90": {To: "web", RouteWords: words(`{"split":{"web":"90","next":"10"}}`)},
	} {
		if got := leadsTo(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	env := func(n uint64) []api.Status {
		return []api.Status{{App: "a", Environment: "production", Ledger: map[semper.ReleaseName]semper.Ledger{"r1": {Accepted: n}}}}
	}
	var m rateMeter
	if m.read(at, env(1000)) != nil {
		t.Error("a rate from one reading")
	}
	rate := func(after time.Duration, n uint64) float64 {
		at = at.Add(after)
		return m.read(at, env(n))["a/production"]["r1"]
	}
	for _, c := range []struct {
		after time.Duration
		n     uint64
		want  float64
	}{
		{2 * time.Second, 1200, 100},
		{10 * time.Millisecond, 1300, 100}, // too close to tell
		{990 * time.Millisecond, 1400, 200},
		{time.Second, 900, 0}, // an edge's counters went with it
		{time.Second, 900, 0},
	} {
		if got := rate(c.after, c.n); got != c.want {
			t.Errorf("%v later at %d: %v/s, want %v", c.after, c.n, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		num(uint64(0)): "0", num(uint64(999)): "999", num(1000): "1,000", num(uint64(1234567)): "1,234,567",
		bytesOf(5): "5 B", bytesOf(24 << 20): "24.0 MiB", bytesOf(3 << 40): "3.0 TiB",
		took(0): "0s", took(12 * time.Millisecond): "12ms", took(1540 * time.Millisecond): "1.5s",
		took(time.Minute): "1m", took(time.Hour): "1h", took(10 * time.Hour): "10h", took(90 * time.Minute): "1h30m",
		short("5 in 1m0s"): "5 in 1m", short("3 in 10s"): "3 in 10s",
		link("app", "a/b", "x y"): "/app/a%2Fb/x%20y",
		perSecond(1234.5):         "1,230/s", perSecond(.1234): "0.123/s", perSecond(11.2): "11.2/s", perSecond(1.13): "1.13/s", perSecond(0): "0/s",
		percent(.001): "under 1 %", percent(.999): "over 99 %", percent(1): "100 %",
		localID("shop/web.r1.1"): "web.r1.1", localID("semper edge"): "semper edge",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
