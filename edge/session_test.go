package edge

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"semper"
	"semper/edge/accesslog"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/witness"
)

// A carriage is a driver of one request at a time that moves no byte: what the edge itself does with a request, and costs.
type carriage struct {
	session  front.Session
	request  http1.Request
	response http1.Response
	x        front.Exchange
	words    front.Words
	now      int64
	head     []byte
	sent     []byte // by the client
}

func newCarriage(t testing.TB) *carriage { return newCarriageOf(t, nil, ordinaryHead) }

// newCarriageOf carries requests with this head to a pool, which is split where split says so.
func newCarriageOf(t testing.TB, split *semper.Split, head string) *carriage {
	t.Helper()
	e, err := New(Options{ID: "edge-1", Dir: t.TempDir(), Witness: witness.Options{Log: accesslog.Options{Writer: io.Discard}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	all := []semper.Pool{{Key: webPool, App: "bar", Release: "r1", Backend: []semper.Backend{{ID: "bar/web.r1.1", Address: "127.0.0.1:1"}}, Split: split}}
	if split != nil {
		for _, a := range split.Arms {
			all = append(all, semper.Pool{Key: webPool.PoolOf(a.Arm), Arm: a.Arm, App: "bar", Release: "r2", Backend: []semper.Backend{{ID: semper.InstanceID("bar/web.r2." + string(a.Arm)), Address: "127.0.0.1:1"}}})
		}
	}
	if err := e.Apply(semper.Table{Epoch: 1, Routes: []semper.Route{{Host: "shop.example", Path: "/", Pool: webPool}}, Pools: all, StickyKey: stickyKey}); err != nil {
		t.Fatal(err)
	}
	c := &carriage{sent: []byte(head), session: e.Open(front.Connection{Peer: netip.MustParseAddrPort("192.0.2.1:1000"), Loop: 1})}
	t.Cleanup(c.session.Close)
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\n"
	if n, err := c.response.Parse([]byte(answer), &http1.DefaultResponse, http1.Asked{Method: http1.GET}); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	return c
}

var stickyKey = []byte(strings.Repeat("k", 32))

// ordinaryHead is what most clients send.
const ordinaryHead = "GET /products/42?utm=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n"

// carry carries one request from its head to its end.
func (c *carriage) carry() bool {
	c.now += 1000
	c.request.Reset()
	if n, err := c.request.Parse(c.sent, &http1.Default); n == 0 || err != nil {
		return false
	}
	c.x = front.Exchange{Request: &c.request, Now: c.now, Words: &c.words}
	if c.session.Begin(&c.x) != front.Forward {
		return false
	}
	c.head = http1.AppendRequest(c.head[:0], &c.request, &c.x.Forward)
	c.x.Reused, c.x.Response, c.x.Status, c.x.Sent = true, &c.response, 200, 5
	c.session.Head(&c.x)
	c.head = http1.AppendResponse(c.head[:0], &c.response, &c.x.Answer)
	c.session.End(&c.x, front.Answered)
	return true
}

func TestAnOrdinaryRequestAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	c := newCarriage(t)
	if n := testing.AllocsPerRun(1000, func() {
		if !c.carry() {
			t.Error("not carried")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkSession is what the edge does with an ordinary request but for moving its bytes: parse, route, claim, count, log,
// trace, and make both heads.
func BenchmarkSession(b *testing.B) {
	c := newCarriage(b)
	b.ReportAllocs()
	for b.Loop() {
		c.carry()
	}
}
