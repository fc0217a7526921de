package heal

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"semper/edge/balance"
)

// TestTheLogNamesWhoIsLeftOutAndWhoReturns: an operator who reads only the log knows which upstream it was, and why.
func TestTheLogNamesWhoIsLeftOutAndWhoReturns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy balance.Outlier
		why    string
	}{
		"in a row":    {balance.Outlier{Consecutive: 3, Base: time.Second, MaxEjected: 50}, `why="failures in a row"`},
		"by its rate": {balance.Outlier{Consecutive: -1, FailurePercent: 50, MinRequests: 3, Base: time.Second, MaxEjected: 50}, `why="more failures than it may have"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			var changes balance.Changes
			a, b := balance.NewBackend("a", &changes, 0), balance.NewBackend("b", &changes, 0)
			w := New(Options{Log: slog.New(slog.NewTextHandler(&out, nil)), Ejected: func() {}}, &c.policy, 0)
			w.Go(&c.policy, []balance.Member{{Backend: a, Weight: 1}, {Backend: b, Weight: 1}}, func(x *balance.Backend) string {
				return map[*balance.Backend]string{a: "app 10.0.0.1:80", b: "app 10.0.0.2:80"}[x]
			})
			for range 3 {
				w.Saw(1, a, 200, false)
				w.Saw(1, b, 0, true)
			}
			now := int64(2 * time.Second)
			w.Sweep(now)
			w.Sweep(2 * now)
			told := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(told) != 2 || !b.Fit() || a.Ejected() {
				t.Fatalf("told %q", told)
			}
			if !strings.Contains(told[0], `instance="app 10.0.0.2:80"`) || !strings.Contains(told[0], c.why) {
				t.Errorf("left out: %s", told[0])
			}
			if !strings.Contains(told[1], `instance="app 10.0.0.2:80"`) || !strings.Contains(told[1], "its time out is over") || !strings.Contains(told[1], "level=INFO") {
				t.Errorf("returned: %s", told[1])
			}
		})
	}
}
