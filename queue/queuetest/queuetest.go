package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/queue"
)

// patience bounds every wait of the suite, so that an engine that hangs fails instead.
const patience = 2 * time.Minute

// Harness is the engine that is tested.
type Harness struct {
	// Open gives an engine without jobs of the services the suite uses.
	Open func(t testing.TB) queue.Engine
	// Reopen ends an engine without letting it finish anything, as far as the process allows, and opens another over the
	// same storage. nil: the engine keeps nothing, and what needs it is skipped.
	Reopen func(t testing.TB, e queue.Engine) queue.Engine
	// Bubble runs every test in a testing/synctest bubble.
	Bubble bool
	// Schedules is how many random schedules are tried in each test that has some; 0: 100.
	Schedules int
}

// Run tests the engine of h.
func Run(t *testing.T, h Harness) {
	t.Helper()
	tests := map[string]func(*fixture){
		"Enqueue/RoundTrip":     roundTrip,
		"Enqueue/Invalid":       enqueueInvalid,
		"Enqueue/Dedup":         dedup,
		"Enqueue/DedupAtOnce":   dedupAtOnce,
		"Enqueue/DedupEnds":     dedupEnds,
		"Enqueue/LargeBody":     largeBody,
		"Enqueue/FullByJobs":    fullByJobs,
		"Enqueue/FullByBytes":   fullByBytes,
		"Claim/Priority":        claimPriority,
		"Claim/Waits":           claimWaits,
		"Claim/EndsWithContext": claimContext,
		"Claim/EachOnce":        claimEachOnce,
		"Claim/NotBefore":       notBefore,
		"Claim/Expired":         expired,
		"Bound/Running":         boundRunning,
		"Bound/PerKey":          boundPerKey,
		"Bound/Rate":            boundRate,
		"Order/Key":             orderKey,
		"Order/Strict":          orderStrict,
		"Order/Schedules":       schedules,
		"Lease/Ends":            leaseEnds,
		"Lease/Extend":          leaseExtend,
		"Lease/Poison":          poison,
		"Lease/Release":         release,
		"Fail/Backoff":          failBackoff,
		"Fail/Final":            failFinal,
		"Fail/Attempts":         failAttempts,
		"Pause/Barrier":         pauseBarrier,
		"Pause/Twice":           pauseTwice,
		"Pause/Drained":         drained,
		"Operate/Retry":         retry,
		"Operate/Discard":       discard,
		"Operate/Deeds":         deeds,
		"Tell/Ends":             tellEnds,
		"Tell/Again":            tellAgain,
		"View/Unknown":          unknown,
		"View/Wait":             wait,
		"View/List":             list,
		"View/Stats":            stats,
		"View/Retention":        retention,
		"Policy/Changes":        policyChanges,
		"Close":                 closed,
		"Crash/KeepsEverything": crashKeeps,
		"Crash/KeepsPause":      crashPause,
		"Crash/KeepsLeases":     crashLeases,
		"Crash/KeepsEnds":       crashTell,
		"Crash/AnyTime":         crashAnyTime,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if h.Reopen == nil && strings.HasPrefix(name, "Crash/") {
				t.Skip("the engine keeps nothing")
			}
			if !h.Bubble {
				run(t, h, name, test)
				return
			}
			synctest.Test(t, func(t *testing.T) { run(t, h, name, test) })
		})
	}
}

func run(t *testing.T, h Harness, name string, test func(*fixture)) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := &fixture{T: t, ctx: ctx, h: h, name: strings.ReplaceAll(strings.ToLower(name), "/", "-"), e: h.Open(t)}
	defer func() {
		if err := f.e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	test(f)
}

// fixture is one test's engine and queue.
type fixture struct {
	*testing.T
	ctx  context.Context
	h    Harness
	name string
	e    queue.Engine
	q    queue.Queue
	p    queue.Policy
	n    int // queues opened
}

// open gives f its queue.
func (f *fixture) open(p queue.Policy) {
	f.Helper()
	f.n++
	f.p = p
	f.reopenQueue()
}

func (f *fixture) reopenQueue() {
	f.Helper()
	q, err := f.e.Open(f.ctx, f.service(), f.p)
	f.must(err)
	f.q = q
}

func (f *fixture) service() queue.Service {
	return queue.Service{App: "test", Environment: f.name, Service: fmt.Sprintf("q%d", f.n)}
}

// crash ends the engine and goes on with another.
func (f *fixture) crash() {
	f.Helper()
	f.e = f.h.Reopen(f.T, f.e)
	f.reopenQueue()
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// is fails unless err is want, which is one of the sentinels.
func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("got error %v, want %v", err, want)
	}
}

// pass lets d go by.
func (f *fixture) pass(d time.Duration) {
	f.Helper()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.ctx.Done():
		f.Fatal("out of patience")
	}
}

func job(body string) queue.Job {
	return queue.Job{Request: queue.Request{Method: "POST", Target: "/jobs", Body: []byte(body)}}
}

func keyed(key, body string) queue.Job {
	j := job(body)
	j.Key = key
	return j
}

func (f *fixture) put(j queue.Job) queue.ID {
	f.Helper()
	r, err := f.q.Enqueue(f.ctx, j)
	f.must(err)
	return r.ID
}

// claim gives n jobs, however many calls that takes.
func (f *fixture) claim(n int) (claims []queue.Claim) {
	f.Helper()
	for len(claims) < n {
		c, err := f.q.Claim(f.ctx, "w", n-len(claims))
		f.must(err)
		if len(c) == 0 || len(c) > n-len(claims) {
			f.Fatalf("Claim of %d gives %d", n-len(claims), len(c))
		}
		claims = append(claims, c...)
	}
	return claims
}

func (f *fixture) one() queue.Claim {
	f.Helper()
	return f.claim(1)[0]
}

// none fails when a job may start within a short while.
func (f *fixture) none() {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
	defer cancel()
	c, err := f.q.Claim(ctx, "w", 10)
	if len(c) > 0 {
		f.Errorf("%s started, attempt %d", c[0].Request.Body, c[0].Lease.Attempt)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("Claim: %v", err)
	}
}

func (f *fixture) complete(c queue.Claim) {
	f.Helper()
	f.must(f.q.Complete(f.ctx, c.Lease, queue.Result{Status: 200, Body: []byte("done")}))
}

func (f *fixture) fail(c queue.Claim) queue.State {
	f.Helper()
	s, err := f.q.Fail(f.ctx, c.Lease, queue.Failure{Status: 503, Reason: "busy"})
	f.must(err)
	return s
}

func (f *fixture) status(id queue.ID) queue.Status {
	f.Helper()
	s, err := f.q.Get(f.ctx, id)
	f.must(err)
	return s
}

func (f *fixture) state(id queue.ID, want queue.State) {
	f.Helper()
	if got := f.status(id).State; got != want {
		f.Errorf("it is %s, want %s", got, want)
	}
}

// bodies are the requests' bodies, in the order of claims.
func bodies(claims []queue.Claim) string {
	var out []string
	for _, c := range claims {
		out = append(out, string(c.Request.Body))
	}
	return strings.Join(out, " ")
}

func (f *fixture) starts(want string) []queue.Claim {
	f.Helper()
	c := f.claim(len(strings.Fields(want)))
	if got := bodies(c); got != want {
		f.Errorf("started %s, want %s", got, want)
	}
	return c
}
