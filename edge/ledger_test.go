package edge

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"semper"
	"semper/edge/ledger"
)

// moody answers in every way an app can.
func moody(t *testing.T) http.HandlerFunc {
	closes := make(chan websocket.StatusCode, 1<<16)
	echo := wsEcho(t, closes)
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/500":
			w.WriteHeader(500)
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/half":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half") //nolint:errcheck // that is the mood
		case "/sse":
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush() //nolint:errcheck // that is the mood
			<-r.Context().Done()
		case "/ws":
			echo(w, r)
		default:
			io.Copy(w, r.Body) //nolint:errcheck // that is the mood
		}
	}
}

// TestEveryRequestEndsOnce: whatever happens to requests, releases, instances and clients, what was
// accepted and what ended differ by what is in flight, at every look at the file and at the end.
func TestEveryRequestEndsOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var apps [3][]*app
	for r := 1; r <= 2; r++ {
		for i := range 2 {
			apps[r] = append(apps[r], start(t, []string{"tcp", "unix"}[i], fmt.Sprintf("web.r%d.%d", r, i), moody(t)))
		}
	}
	table := func(release int, at time.Time, change func(*semper.Table)) {
		f.table(release, func(tab *semper.Table) {
			old := apps[3-release]
			draining(3-release, at, old[0].ID, old[1].ID)(tab)
			if change != nil {
				change(tab)
			}
		}, apps[release][0].Backend, apps[release][1].Backend)
	}
	table(1, time.Now(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 12 {
		wg.Go(func() {
			c := abrupt(t)
			for ctx.Err() == nil {
				moodyRequest(ctx, t, f, c)
				sent.Add(1)
			}
		})
	}
	for n := range 40 {
		at := sent.Load()
		release := 1 + n%2
		switch n % 5 {
		case 1:
			table(release, time.Now().Add(20*time.Millisecond), holding(n%2 == 0, semper.HoldLimits{Requests: 4, Age: semper.Duration(50 * time.Millisecond)}))
		case 2:
			f.table(release, limits(semper.HoldLimits{Age: semper.Duration(20 * time.Millisecond)}))
		default:
			table(release, time.Now().Add(20*time.Millisecond), limits(semper.HoldLimits{Rate: 5000}))
		}
		files, err := ledger.Read(f.dir)
		if err != nil || len(files) != 1 {
			t.Fatalf("%v %v", files, err)
		}
		for k, l := range files[0].Counts {
			if open := ledger.InFlight(l); open > 3*12 { // one that has left is open until that is noticed

				t.Errorf("%v: %d open at once with 12 clients: %+v", k, open, l)
			}
		}
		eventually(t, "traffic goes on", func() bool { return sent.Load() > at+20 })
	}
	cancel()
	wg.Wait()
	var sum semper.Ledger
	for r := 1; r <= 2; r++ {
		sum = sum.Add(f.settled(r))
	}
	if ledger.InFlight(sum) != 0 || sum.Served == 0 || sum.AppErrors == 0 || sum.EdgeErrors == 0 || sum.Cut == 0 || sum.Shed == 0 || sum.Gone == 0 || sum.Held == 0 || sum.Retried == 0 {
		t.Errorf("not everything happened: %+v", sum)
	}
	t.Logf("%d requests, %+v", sent.Load(), sum)
}

// moodyRequest is one request of any kind, whatever comes of it.
func moodyRequest(ctx context.Context, t *testing.T, f *fixture, c *http.Client) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	path := []string{"/", "/", "/", "/500", "/abort", "/half", "/sse", "/ws", "/drop"}[rand.IntN(9)]
	switch path {
	case "/ws":
		ws, _, err := websocket.Dial(ctx, "ws://"+f.addr+"/ws", &websocket.DialOptions{HTTPClient: c})
		if err != nil {
			return
		}
		defer ws.CloseNow()                               //nolint:errcheck // in every way
		ws.Write(ctx, websocket.MessageText, []byte("x")) //nolint:errcheck // in every way
		ws.Read(ctx)                                      //nolint:errcheck // in every way
		if rand.IntN(2) == 0 {
			ws.Close(websocket.StatusNormalClosure, "") //nolint:errcheck // in every way
		}
		return
	case "/drop":
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx") //nolint:errcheck // in every way
		conn.(*net.TCPConn).SetLinger(0)                                                 //nolint:errcheck,forcetypeassert // it leaves for good
		conn.Close()                                                                     //nolint:errcheck // in every way
		return
	}
	method, body := http.MethodGet, io.Reader(nil)
	if rand.IntN(2) == 0 {
		method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", rand.IntN(200_000)))
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url(path), body)
	if err != nil {
		t.Error(err)
		return
	}
	if resp, err := c.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body) //nolint:errcheck // in every way
		resp.Body.Close()              //nolint:errcheck // in every way
	}
}
