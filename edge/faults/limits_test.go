package faults

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"semper/edge"
)

// client is a connection with what came on it.
type client struct {
	*net.TCPConn
	in *bufio.Reader
}

func (e *edgeProcess) connect() client {
	e.t.Helper()
	c := dial(e.t, e.plain)
	return client{c, bufio.NewReaderSize(c, 1<<10)}
}

const request = "GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n"

// served asks once, and fails the test without an answer.
func (c client) served(t *testing.T) {
	t.Helper()
	fmt.Fprint(c, request)
	if status, body, err := answer(c.in); err != nil || status != http.StatusOK || body != "ok" {
		t.Fatalf("%d %.200q, %v", status, body, err)
	}
}

func (c client) reset() { ends[0].do(c.TCPConn) }

// TestClientsRunOutOfPlaces has more clients than the edge's descriptors are for. As many as may be are served, the others wait in the
// kernel's queue; there is room left to reach instances by; the log is not filled; and who waits gets in when others leave.
func TestClientsRunOutOfPlaces(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		const limit, most, all = 256, 192, 212 // who waits may be served at once, each by a connection to the instance
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address}, fmt.Sprint(descriptors, "=", limit))
		base := e.baseline(i)
		var clients []client
		for range all {
			clients = append(clients, e.connect())
		}
		few := most - 4                   // a listener may keep a place for whoever comes next
		for _, c := range clients[:few] { // the kernel's queue keeps their order
			c.served(t)
		}
		for _, c := range clients[few:] {
			fmt.Fprint(c, request)
		}
		eventually(t, "no more are taken", func() bool { return e.metric("semper_edge_accept_pauses_total", `"full"`) > 0 })
		if n := e.state("look").Descriptors; n > limit-20 {
			t.Errorf("%d of %d descriptors are in use: too few are left to reach instances by", n, limit)
		}
		if n := e.times("as many connections are open as may be"); n == 0 || n > 12 {
			t.Errorf("%d lines of the log tell that connections wait", n)
		}
		clients[0].served(t)
		for _, c := range clients[:few] {
			c.reset()
		}
		for n, c := range clients[few:] {
			if status, _, err := answer(c.in); err != nil || status != http.StatusOK {
				t.Errorf("connection %d of those that waited: %d, %v", n, status, err)
			}
			c.reset()
		}
		e.settles(base)
	})
}

// TestDescriptorsRunOut has all clients wait for an instance, each with a connection to it, until there is no descriptor for
// another one. Those who come then are refused, which is no fault of the instance; when the others have gone everybody is served.
func TestDescriptorsRunOut(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		const limit, all = 256, 140
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address}, fmt.Sprint(descriptors, "=", limit))
		base := e.baseline(i)
		var clients, waiting []client
		for range all {
			c := e.connect()
			c.served(t)
			clients = append(clients, c)
		}
		began, refused := i.seen.Load(), 0
		for _, c := range clients {
			seen := i.seen.Load()
			fmt.Fprint(c, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
			answered := make(chan *http.Response, 1)
			go func() {
				resp, err := http.ReadResponse(c.in, nil)
				if err == nil {
					resp.Body.Close()
					answered <- resp
				}
				close(answered)
			}()
			eventually(t, "it is with the instance, or refused", func() bool { return i.seen.Load() > seen || len(answered) > 0 })
			if len(answered) == 0 {
				waiting = append(waiting, c)
				continue
			}
			if resp := <-answered; resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("X-Semper-Error") != "descriptors" {
				t.Errorf("refused with %d %s", resp.StatusCode, resp.Header.Get("X-Semper-Error"))
			}
			refused++
			c.reset()
		}
		if n := int(i.seen.Load() - began); refused == 0 || n+refused != all {
			t.Errorf("of %d requests %d reached the instance, and %d were refused", all, n, refused)
		}
		waiting[0].reset() // one less, for the metrics
		waiting[1].reset()
		eventually(t, "every refusal is counted", func() bool {
			return e.metric("semper_edge_shed_total", `"descriptors"`, "http_route=") == float64(refused)
		})
		for _, c := range waiting[2:] {
			c.reset()
		}
		e.settles(base)
	})
}

// TestMemoryRunsOut has requests wait whose content the edge keeps for another attempt, until there is no memory for more: the
// edge refuses what comes then, stays below its limit, and serves when the others have gone.
func TestMemoryRunsOut(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		const limit, most = 48 << 20, 1500
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address}, fmt.Sprint("GOMEMLIMIT=", limit))
		base := e.baseline(i)
		content := strings.Repeat("x", 60<<10)
		var waiting []client
		refused := make(chan string, most)
		for len(waiting) < most && len(refused) == 0 {
			c := e.connect()
			waiting = append(waiting, c)
			seen := i.seen.Load()
			fmt.Fprintf(c, "PUT /never HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
			go func() { // ends with the connection
				if resp, err := http.ReadResponse(c.in, nil); err == nil {
					resp.Body.Close()
					refused <- fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("X-Semper-Error"))
				}
			}()
			eventually(t, "it is with the instance, or refused", func() bool { return i.seen.Load() > seen || len(refused) > 0 })
		}
		if len(refused) == 0 {
			t.Fatalf("%d requests of %d bytes wait, and none was refused", most, len(content))
		}
		if why := <-refused; why != "503 memory" {
			t.Errorf("refused with %s", why)
		}
		if status, _, err := e.get(secureH2, "/ok"); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("by HTTP/2, without memory: %d, %v", status, err)
		}
		if s := e.state("look"); s.Heap > limit {
			t.Errorf("the heap has %d bytes of %d", s.Heap, limit)
		}
		for _, c := range waiting {
			c.reset()
		}
		e.says("there is memory again")
		e.settles(base)
	})
}

// goroutine is how many bytes the runtime keeps of a goroutine that has ended, for another one.
const goroutine = 640

// TestManyIdle has many connections wait for nothing, each after one request; with -long as many as the limit of descriptors lets.
func TestManyIdle(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		many := 500
		if *long {
			many = allowed() / 4 * 3 / 2 // both drivers are tried at once, and this process has the other ends
		}
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		var clients []client
		for range many {
			c := e.connect()
			c.served(t)
			clients = append(clients, c)
		}
		now := e.state("look")
		if n := now.Descriptors - base.Descriptors; n < many {
			t.Errorf("%d descriptors more than before, of %d connections", n, many)
		}
		t.Logf("%d idle connections: %d bytes of heap, %d goroutines more", many, (now.Heap-base.Heap)/int64(many), now.Goroutines-base.Goroutines)
		base.Heap += goroutine * int64(now.Goroutines-base.Goroutines)
		for n := 0; n < many; n += many / 10 {
			clients[n].served(t)
		}
		for _, c := range clients {
			c.Close()
		}
		e.settles(base)
	})
}
