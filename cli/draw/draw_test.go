package draw_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func status() api.Status {
	old := now.Add(-90 * time.Minute)
	return api.Status{
		App: "shop", Environment: "beta", Release: "r17", Previous: "r16", Epoch: 41, Hold: semper.Holds{
			{Since: now.Add(-3 * time.Second)}, {Route: "a.example/pay", Writes: true, Since: now.Add(-time.Minute), Until: now.Add(time.Minute), By: "ann"},
		},
		Edges: []semper.EdgeState{{
			Held:    map[semper.PoolKey]int{"shop/beta/web": 3, "shop/beta/web@candidate": 1, "shop/production/web": 9},
			Waiting: map[string]int{"a.example/pay": 2},
		}},
		Rollout: &api.RolloutStatus{ID: "d-9", Kind: semper.KindDeploy, State: semper.RolloutFailed, Step: "failed", From: "r17", To: "r18", StartedAt: now.Add(-8 * time.Second), EndedAt: now.Add(-time.Second), Reason: "web.r18.1 was not ready within 30s:\nnothing listens on 127.0.0.1:20001"},
		Instances: []api.Instance{
			{ID: "shop/web.r17.2", Service: "web", Release: "r17", State: semper.NotReady, Role: "current", PID: 12, Address: "127.0.0.1:20002", StartedAt: old, Reason: "GET / answers 500"},
			{ID: "shop/web.r17.1", Service: "web", Release: "r17", State: semper.Ready, Role: "current", PID: 11, Address: "127.0.0.1:20000", StartedAt: old, InFlight: 3},
			{ID: "shop/worker.r18.1", Service: "worker", Release: "r18", State: semper.Waiting, Role: "candidate", Restarts: 4, Reason: "exit code 1\x1b[2J"},
			{ID: "shop/web.r16.1", Service: "web", Release: "r16", State: semper.Stopping, Role: "retiring", PID: 9, StartedAt: old, Warning: "no cgroup"},
		},
		Ledger:   map[semper.ReleaseName]semper.Ledger{"r17": {Accepted: 10, Served: 9, Cut: 1}, "r9": {Accepted: 1, Served: 1, Held: 1}},
		Warnings: []string{"disk is nearly full"},
	}
}

const picture = `shop · beta  r17 serves  epoch 41  before: r16
✗ deploy d-9  r17 → r18  failed  7s
‖ hold  all requests wait: 4 now, since 3s; semper resume -a shop -e beta
‖ hold  writes of route a.example/pay wait: 2 now, since 1m0s, by ann, ends in 1m0s; semper resume --route a.example/pay -a shop -e beta
├─ r18 candidate  worker 0/1 ready
│  └─ ✗ worker.r18.1  waiting  pid -  -  4 restarts  exit code 1�[2J
├─ r17 current  web 1/2 ready
│  ├─ ▲ web.r17.2  not-ready  pid 12  127.0.0.1:20002  up 1h30m  GET / answers 500
│  └─ ● web.r17.1  ready      pid 11  127.0.0.1:20000  up 1h30m  3 in flight
├─ r16 retiring  web 0/1 ready  ! no cgroup
│  └─ ◌ web.r16.1  stopping  pid 9  -  up 1h30m
└─ ledger
   r17  10 accepted  9 served  0 app errors  0 edge errors  0 shed  1 cut
   r9   1 accepted   1 served  0 app errors  0 edge errors  0 shed  0 cut  1 held
! disk is nearly full
why: web.r18.1 was not ready within 30s: nothing listens on 127.0.0.1:20001`

func TestStatusToTheLetter(t *testing.T) {
	t.Parallel()
	if got := strings.Join(draw.Status(status(), false, now), "\n"); got != picture {
		t.Errorf("got\n%s\nwant\n%s", got, picture)
	}
	painted := strings.Join(draw.Status(status(), true, now), "\n")
	if plain := strip(painted); plain != picture {
		t.Errorf("colour changes more than colour:\n%s", plain)
	}
	if len(draw.Status(api.Status{App: "x"}, false, now)) != 2 {
		t.Error("an empty environment is two lines")
	}
}

// strip takes colours away.
func strip(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		s = s[:i] + s[i+strings.IndexByte(s[i:], 'm')+1:]
	}
}

func TestSizesAndSpans(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 10 << 20: "10.0 MiB", 1 << 40: "1.0 TiB"} {
		if got := draw.Size(n); got != want {
			t.Errorf("Size(%d) = %q", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 80 * time.Millisecond: "80ms", 1540 * time.Millisecond: "1.5s", 59 * time.Second: "59s", 90 * time.Second: "1m30s",
		5 * time.Hour: "5h0m", 100 * time.Hour: "4d",
	} {
		if got := draw.Span(d); got != want {
			t.Errorf("Span(%s) = %q, want %q", d, got, want)
		}
	}
}

// TestNothingReachesTheTerminal: whatever text comes from elsewhere, no command of a terminal is left in it.
func TestNothingReachesTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s") + rapid.SampledFrom([]string{"", "\x1b[2J", "\x1b]0;x\a", "\u009b2J", "\x1b[31m"}).Draw(t, "attack")
		if got := draw.Safe(s); strings.ContainsAny(got, "\x1b\a\b\r\u009b") {
			t.Fatalf("Safe leaves %q", got)
		}
		if got := strip(draw.SafeLog(s)); strings.ContainsAny(got, "\x1b\a\b\r\u009b") {
			t.Fatalf("SafeLog leaves %q", got)
		}
		if got := draw.OneLine(s); strings.ContainsAny(got, "\n\x1b") {
			t.Fatalf("OneLine leaves %q", got)
		}
	})
}

func TestCutKeepsToTheWidth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := draw.Paint(true)
		s := draw.Safe(rapid.String().Draw(t, "a")) + p.Bad(draw.Safe(rapid.String().Draw(t, "b")))
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "\t", " ")
		width := rapid.IntRange(1, 40).Draw(t, "width")
		got := draw.Cut(s, width)
		if n := len([]rune(strip(got))); n > width {
			t.Fatalf("Cut(%q, %d) is %d wide: %q", s, width, n, got)
		}
		if len([]rune(strip(s))) <= width && got != s {
			t.Fatalf("Cut(%q, %d) changed it to %q", s, width, got)
		}
	})
}

func TestScreenFitsTheTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	sc := draw.Screen{W: &b, Size: func() (int, int) { return 20, 10 }}
	var block []string
	for range 50 {
		block = append(block, strings.Repeat("x", 200))
	}
	sc.Draw(block)
	if n := strings.Count(b.String(), "\n"); n > 9 {
		t.Errorf("%d lines on a terminal of 10", n)
	}
	b.Reset()
	sc.Draw(block[:2])
	if !strings.HasPrefix(b.String(), "\x1b[8A\r") {
		t.Errorf("does not go back to its start: %q", b.String())
	}
	b.Reset()
	sc.Keep()
	sc.Draw(block[:1])
	if strings.Contains(b.String(), "A") {
		t.Errorf("goes back over what was to stay: %q", b.String())
	}
}

func TestPlanSaysThatItsDeployIsRefused(t *testing.T) {
	t.Parallel()
	plan := api.Plan{App: "shop", Environment: "production", From: "r17", To: "r18", Changes: []string{"+ env A"}, Steps: []api.PlanStep{{State: semper.RolloutStage, What: "unpack"}}}
	var open, closed bytes.Buffer
	draw.Plan(&open, draw.Paint(false), plan)
	plan.Refused, plan.Instead = "production refuses r18: it lacks beta/tests\x1b[2J", "semper pipeline run"
	draw.Plan(&closed, draw.Paint(false), plan)
	const said = "a deploy is refused now: production refuses r18: it lacks beta/tests"
	if strings.Contains(open.String(), "refused") || !strings.Contains(closed.String(), said) || !strings.Contains(closed.String(), "instead: semper pipeline run\n") || strings.Contains(closed.String(), "\x1b") {
		t.Errorf("%s\n%s", open.String(), closed.String())
	}
}
