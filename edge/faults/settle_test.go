package faults

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"time"
)

// heapSlack is how many bytes the heap may differ by, of which no connection or request is: metrics of statuses that were not
// there before, tables that have grown, and the like.
const heapSlack = 3 << 20

// baseline is what the edge has when it has answered by each way in, everybody has gone, and it keeps no connection to i.
func (e *edgeProcess) baseline(i *instance) state {
	e.t.Helper()
	e.serves()
	eventually(e.t, "no connection to the instance", func() bool { return i.open.Load() == 0 })
	return e.state("look")
}

// settles checks, after a fault, that nothing is left of it, and that the edge serves.
func (e *edgeProcess) settles(base state) {
	e.t.Helper()
	var now state
	if !until(func() bool {
		now = e.state("look")
		return now.Descriptors <= base.Descriptors && now.Goroutines <= base.Goroutines && now.Heap <= base.Heap+heapSlack
	}) {
		e.t.Errorf("before the fault %d descriptors, %d goroutines, %d KB; behind it %d, %d, %d KB\n%s", base.Descriptors, base.Goroutines, base.Heap>>10,
			now.Descriptors, now.Goroutines, now.Heap>>10, e.state("stacks").Stacks)
	}
	e.serves()
	e.balanced()
}

// balanced checks that nothing is in flight, and that every request that was accepted has one end.
func (e *edgeProcess) balanced() {
	e.t.Helper()
	const ledger = "semper_edge_ledger_requests"
	sum := func(columns ...string) (n float64) {
		for _, c := range columns {
			n += e.metric(ledger, `column="`+c+`"`)
		}
		return n
	}
	if !until(func() bool { return e.metric("http_server_active_requests") == 0 }) { // the end is counted when the client has its answer
		e.t.Error("requests are in flight, and nobody asks")
	}
	accepted, ended := sum("accepted"), sum("served", "app_errors", "edge_errors", "shed", "cut", "gone")
	if accepted == 0 || accepted != ended {
		e.t.Errorf("%v requests accepted, %v ended", accepted, ended)
	}
}

// serves checks that the edge answers by each way in.
func (e *edgeProcess) serves() {
	e.t.Helper()
	for _, w := range ways {
		if status, body, err := e.get(w, "/ok"); err != nil || status != http.StatusOK || body != "ok" {
			e.t.Errorf("by %s the edge answers %d %.200q, %v", w, status, body, err)
		}
	}
}

// A way is one by which requests come in.
type way string

const (
	plainH1  way = "http"
	secureH1 way = "https, HTTP/1.1"
	secureH2 way = "https, HTTP/2"
)

var ways = []way{plainH1, secureH1, secureH2}

// client is a client by w, and where it finds the edge.
func (e *edgeProcess) client(w way) (c *http.Client, address string) {
	tr := &http.Transport{DisableCompression: true}
	if w == plainH1 {
		return &http.Client{Transport: tr, Timeout: time.Minute}, "http://" + e.plain
	}
	tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
	tr.ForceAttemptHTTP2 = w == secureH2
	return &http.Client{Transport: tr, Timeout: time.Minute}, "https://" + e.secure
}

// get is one request by w on a connection of its own.
func (e *edgeProcess) get(w way, path string) (status int, body string, err error) {
	c, address := e.client(w)
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, address+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = "localhost"
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// answer reads one answer to its end, and what it says of itself.
func answer(r *bufio.Reader) (status int, body string, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
