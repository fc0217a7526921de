package conformance_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"semper/edge"
	"semper/edge/config"
	"semper/edge/conformance"
	"semper/edge/route"
)

// short is each deadline of the edge in TestEdgeWithDeadlines: long enough for a machine that does much else.
const short = 2 * time.Second

// slow are the rows that have a deadline to wait for; TestEdge skips their cases.
var slow = []int{72, 73, 74, 83, 85}

// slowTarget is an edge whose every deadline is short.
func slowTarget(t *testing.T) *conformance.Target {
	t.Helper()
	e, roots, certificates := newEdgeWith(t)
	on := func(c *tls.Config) string {
		return listen(t, func(l net.Listener) error {
			return e.ServeUntil(context.Background(), l, edge.Terms{TLS: c, Head: short})
		}, e.Close)
	}
	target := &conformance.Target{
		Plain: on(nil), TLS: on(certificates), H3: serve3(t, e, certificates), Host: hostA, Roots: roots,
		Backend: record(t, "tcp", "127.0.0.1:0"), Patience: 30 * time.Second,
		Deadlines: conformance.Deadlines{Head: short, Body: short, Write: short, Idle: short},
	}
	p := route.DefaultPolicy()
	p.Timeouts.Body, p.Timeouts.Write, p.Timeouts.Stream = short, short, short
	rules, err := route.Compile([]route.Rule{{Name: "all", Action: &route.Forward{Pools: []route.Share{{Pool: "recorder", Weight: 1}}}, Policy: p}})
	if err != nil {
		t.Fatal(err)
	}
	pools := map[string]config.Pool{"recorder": config.DefaultPool(target.Backend.Addr().String())}
	if err := e.Configure(edge.Config{Rules: rules, Pools: pools}); err != nil {
		t.Fatal(err)
	}
	return target
}

// TestEdgeWithDeadlines runs the rows about clients that are slow, over each transport, all at once: what they do is wait.
func TestEdgeWithDeadlines(t *testing.T) {
	t.Parallel()
	rows := conformance.Rows()
	var all sync.WaitGroup
	defer all.Wait()
	for _, tr := range conformance.Transports {
		for _, n := range slow {
			target := slowTarget(t)
			all.Go(func() {
				for _, res := range conformance.Check(t.Context(), target, rows[n-1], tr) {
					switch {
					case res.Verdict == conformance.Pass:
					case res.Verdict == conformance.Fail && known[n].sometimes:
						t.Log(res)
					default:
						t.Error(res)
					}
				}
			})
		}
	}
}
