package edge

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"semper"
)

// TestSharesChangeUnderLoad: a trial that begins, goes up and down, and ends, again and again, fails no request, and every request is
// counted once.
func TestSharesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		seen, stable, arms := namedArms(t)
		f.try(policy, shares("", .5, .5), stable, arms)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		var answers atomic.Uint64
		for n := range 8 {
			wg.Go(func() {
				c := client(t)
				for ctx.Err() == nil {
					req, err := http.NewRequest([]string{http.MethodGet, http.MethodPost}[n%2], f.url("/"), http.NoBody)
					if err != nil {
						t.Error(err)
						return
					}
					resp, err := c.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close() //nolint:errcheck // read
					if err != nil || resp.StatusCode != 200 || seen[string(body)] == nil {
						t.Errorf("%s %s %v", resp.Status, body, err)
						return
					}
					answers.Add(1)
				}
			})
		}
		for n := range 40 {
			before := answers.Load()
			switch s := float64(n%5) / 10; n % 4 {
			case 0:
				f.try(policy, semper.Split{}, stable, nil) // turned back
			default:
				f.try(policy, shares([]string{"", "client", "user"}[n%3], s, s), stable, arms)
			}
			eventually(t, "traffic goes on", func() bool { return answers.Load() > before+20 || t.Failed() })
		}
		cancel()
		wg.Wait()
		var sum semper.ArmCounts
		for _, rollout := range []string{"ro1", ""} {
			for _, c := range f.counted(rollout) {
				sum.Requests, sum.Failed, sum.Missed, sum.Gone = sum.Requests+c.Requests, sum.Failed+c.Failed, sum.Missed+c.Missed, sum.Gone+c.Gone
			}
		}
		if sum.Requests != answers.Load() || sum.Failed+sum.Missed+sum.Gone != 0 {
			t.Errorf("%+v of %d answers", sum, answers.Load())
		}
	})
}

// TestAWebSocketOfAnArm is drained like any other when its arm leaves the table, and counted when it has begun.
func TestAWebSocketOfAnArm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	closes := make(chan websocket.StatusCode, 1)
	stable, one := start(t, "tcp", "web.r1.1", says(1)), start(t, "tcp", "web.r2.1", wsEcho(t, closes))
	s := shares("", 0, 0)
	s.Testers = json.RawMessage(`[{"query":{"candidate":{"present":true}}}]`)
	f.try(nil, s, []semper.Backend{stable.Backend}, map[semper.Arm][]semper.Backend{semper.ArmCandidate: {one.Backend}})
	c, resp, err := websocket.Dial(t.Context(), "ws://"+f.addr+"/ws?candidate", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() }) //nolint:errcheck // a test's
	if got := resp.Header.Get("X-Semper-Release"); got != "r2" {
		t.Errorf("of release %s", got)
	}
	if err := echo(t, c, "hello"); err != nil {
		t.Fatal(err)
	}
	if got := f.State().InFlight[one.ID]; got[semper.ClassWebSocket] != 1 {
		t.Errorf("in flight: %v", got)
	}
	f.table(1, draining(2, time.Now(), one.ID), stable.Backend)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("ended with %v", err)
	}
	<-closes
	if got := f.counted("ro1")[semper.ArmTester]; got.Assigned != 1 || got.Requests != 1 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
}
