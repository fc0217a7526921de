package conformance_test

import (
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/edge/conformance"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("CONFORMANCE_H2SPEC"); addr != "" {
		h2specProcess(addr)
		return
	}
	if what := os.Getenv("CONFORMANCE_GRPC"); what != "" {
		grpcProcess(what)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEveryRowOfTheTable(t *testing.T) {
	t.Parallel()
	rows := conformance.Rows()
	if len(rows) != 85 {
		t.Errorf("%d rows, not the 85 of edge.md", len(rows))
	}
	for i, r := range rows {
		if r.Number != i+1 {
			t.Fatalf("row %d stands where row %d should", r.Number, i+1)
		}
		if r.Name == "" || r.Why == "" || len(r.Cases) == 0 {
			t.Errorf("row %d says too little of itself", r.Number)
		}
		if over3 := slices.ContainsFunc(r.Cases, func(c conformance.Case) bool { return c.Mux != nil || slices.Contains(c.Only, conformance.H3) }); over3 == (r.NotOverH3() != "") {
			t.Errorf("row %d has cases over HTTP/3: %v; and why not: %q", r.Number, over3, r.NotOverH3())
		}
		seen := map[string]bool{}
		for _, c := range r.Cases {
			if seen[c.Name] {
				t.Errorf("row %d has two cases %q", r.Number, c.Name)
			}
			seen[c.Name] = true
			if c.Run == nil && len(c.Want) == 0 {
				t.Errorf("row %d, %s: nothing is wanted", r.Number, c.Name)
			}
		}
	}
}

// TestEdge runs every row against the edge, over each transport.
func TestEdge(t *testing.T) {
	t.Parallel()
	for _, tr := range conformance.Transports {
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			target := edgeTarget(t)
			for _, row := range conformance.Rows() {
				e, excepted := known[row.Number]
				excepted = excepted && slices.Contains(e.over, tr)
				failed := false
				for _, res := range conformance.Check(t.Context(), target, row, tr) {
					failed = failed || res.Verdict == conformance.Fail
					switch {
					case res.Verdict == conformance.Fail && !(excepted && (e.cases == nil || slices.Contains(e.cases, res.Case))):
						t.Error(res)
					case res.Verdict == conformance.Pass && excepted && slices.Contains(e.cases, res.Case):
						t.Errorf("%v: take it out of the list of what is known to fail", res)
					case res.Verdict != conformance.Pass:
						t.Log(res)
					}
				}
				if excepted && !failed && !e.sometimes {
					t.Errorf("row %d (%s) passes now: take it out of the list of what is known to fail", row.Number, tr)
				}
			}
		})
	}
}

// TestRelayPassesNothing gives the suite a proxy that forwards every byte as it is: no row about what must not be
// forwarded may pass.
func TestRelayPassesNothing(t *testing.T) {
	t.Parallel()
	backend := record(t, "tcp", "127.0.0.1:0")
	target := &conformance.Target{Plain: relay(t, backend.Addr().String()), Host: hostA, Backend: backend, Patience: time.Second}
	for _, row := range conformance.Rows() {
		if n := row.Number; n > 49 || n == 25 || n == 32 || n == 33 { // behind 25 there is nothing to forward
			continue
		}
		passed := 0
		results := conformance.Check(t.Context(), target, row, conformance.Plain)
		for _, res := range results {
			if res.Verdict == conformance.Pass {
				passed++
				t.Log(res)
			}
		}
		if passed == len(results) {
			t.Errorf("row %d passes behind a relay of bytes", row.Number)
		}
	}
}

// relay copies bytes both ways between its clients and addr.
func relay(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	pipe := func(to, from net.Conn) {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", addr)
			if err != nil {
				c.Close()
				continue
			}
			wg.Go(func() {
				var both sync.WaitGroup
				both.Go(func() { pipe(b, c) })
				both.Go(func() { pipe(c, b) })
				both.Wait()
				b.Close()
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}
