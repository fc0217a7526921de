package faults

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"semper/edge"
)

// TestInstanceResets has the instance reset its connection after each part of an answer. What was not answered at all is tried
// again where it may be; what was begun is broken off, so that nobody takes it for whole.
func TestInstanceResets(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		for _, w := range ways {
			for _, n := range steps(1040, 130, 13) {
				status, body, err := e.get(w, fmt.Sprintf("/reset?n=%d", n))
				if err == nil && status == http.StatusOK {
					t.Errorf("by %s, reset after %d bytes: %d bytes pass for whole", w, n, len(body))
				}
			}
		}
		e.settles(base)
	})
}

// TestInstanceEndsAndStays has the instance end its side of the connection in the middle of an answer, and not close it.
func TestInstanceEndsAndStays(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		for _, w := range ways {
			for _, n := range steps(50, 7, 1) {
				status, body, err := e.get(w, fmt.Sprintf("/half-open?n=%d", n))
				if err == nil && status == http.StatusOK {
					t.Errorf("by %s, ended after %d bytes: %q passes for whole", w, n, body)
				}
			}
		}
		e.settles(base)
	})
}

// TestInstanceIsKilled kills one of two instances under load: requests that it had begun to answer may fail, no other.
func TestInstanceIsKilled(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i, v := newInstance(t), newVictim(t, "127.0.0.1:0")
		e := start(t, driver, "", []string{i.address, v.address})
		base := e.baseline(i)
		stop := make(chan struct{})
		failed := make(chan string, 1000)
		var clients sync.WaitGroup
		for n := range 8 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if status, body, err := e.get(ways[n%len(ways)], "/ok"); err != nil || status != http.StatusOK || body != "ok" {
						failed <- fmt.Sprint(ways[n%len(ways)], " ", status, " ", body, " ", err)
					}
				}
			})
		}
		began := i.seen.Load()
		grows := func(by int64) func() bool { return func() bool { return i.seen.Load() >= began+by } }
		eventually(t, "load on the instance that stays", grows(20))
		v.kill()
		began = i.seen.Load()
		eventually(t, "load behind the death", grows(100))
		newVictim(t, v.address)
		eventually(t, "load behind the return", grows(200))
		close(stop)
		clients.Wait()
		close(failed)
		for f := range failed { // GET is safe, so that all of them could be tried again
			t.Error(f)
		}
		e.settles(base)
	})
}

// TestInstanceIsFrozen stops the only instance: it takes connections and requests, and says nothing. Who asks gets 504 at the
// route's deadline, and when the instance goes on the edge does.
func TestInstanceIsFrozen(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i, v := newInstance(t), newVictim(t, "127.0.0.1:0")
		e := start(t, driver, "timeouts: {response: 300ms}, retry: {tries: 1}", []string{v.address})
		base := e.baseline(i)
		v.signal(syscall.SIGSTOP)
		eventually(t, "the instance stands still", v.stopped)
		var clients sync.WaitGroup
		for _, w := range ways {
			for range 4 {
				clients.Go(func() {
					if status, _, err := e.get(w, "/ok"); err != nil || status != http.StatusGatewayTimeout {
						t.Errorf("by %s, of a frozen instance: %d, %v", w, status, err)
					}
				})
			}
		}
		clients.Wait()
		v.signal(syscall.SIGCONT)
		e.settles(base)
	})
}

// TestSlowInstanceHoldsNobody has requests wait at an instance that never answers, while others are served, and then go.
func TestSlowInstanceHoldsNobody(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		began := i.seen.Load()
		const waiting = 50
		var conns []*net.TCPConn
		for range waiting {
			c := dial(t, e.plain)
			fmt.Fprint(c, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
			conns = append(conns, c)
		}
		eventually(t, "all are with the instance", func() bool { return i.seen.Load() == began+waiting })
		e.serves()
		if n := e.metric("http_server_active_requests", "http_route="); n != waiting {
			t.Errorf("%v in flight, want %d", n, waiting)
		}
		for _, c := range conns { // who only says that nothing more will come gets an answer still
			ends[0].do(c)
		}
		e.settles(base)
	})
}

// steps are the numbers up to n: few of them, or more with -long.
func steps(n, few, more int) (all []int) {
	by := few
	if *long {
		by = more
	}
	for i := 0; i <= n; i += by {
		all = append(all, i)
	}
	return all
}
