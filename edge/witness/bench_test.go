package witness

import (
	"io"
	"net/netip"
	"testing"

	"semper/edge/accesslog"
	"semper/edge/http1"
	"semper/edge/metrics"
)

// browser is a request as browsers send it.
const browser = "GET /products/42?utm_source=newsletter HTTP/1.1\r\nHost: shop.example\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example/products\r\n" +
	"Cookie: session=0af7651916cd43dd8448eb211c80319c\r\n\r\n"

const traced = "GET / HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: x\r\n" +
	"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: congo=t61rcWkgMzE\r\n\r\n"

func parse(t testing.TB, head string) *http1.Request {
	t.Helper()
	r := new(http1.Request)
	if n, err := r.Parse([]byte(head), &http1.Default); n != len(head) || err != nil {
		t.Fatalf("parse: %d of %d bytes, %v", n, len(head), err)
	}
	return r
}

func open(t testing.TB, o Options) *Witness {
	t.Helper()
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// ordinary tells the story of one ordinary request, and returns how much was forwarded, so that none of it is for nothing.
func ordinary(s *Shard, c *Client, p *Place, r *http1.Request, now int64) int {
	q := s.Begin(now, c, r)
	f := http1.Forward{RequestID: q.ID()}
	q.Forward(&f, r)
	q.Enter(p)
	q.Try(now, "shop/web.r1.1")
	q.Head(now+1_000_000, false, true)
	q.End(now+1_200_000, End{Status: 200, Sent: 128})
	return len(f.TraceParent)
}

var shop = metrics.Key{App: "shop", Release: "r1", Pool: "shop/production/web", Route: "shop.example/"}

// BenchmarkRequest is all that an ordinary request costs to be seen. The writing of the lines is not in the time.
func BenchmarkRequest(b *testing.B) {
	for _, one := range []struct {
		name, head string
		log        accesslog.Options
	}{
		{"everything", browser, accesslog.Options{Writer: io.Discard}},
		{"a tenth of the log", browser, accesslog.Options{Writer: io.Discard, Rules: []accesslog.Rule{{To: 399, Share: .1}}}},
		{"no log", browser, accesslog.Options{}},
		{"a trace goes on", traced, accesslog.Options{Writer: io.Discard}},
	} {
		b.Run(one.name, func(b *testing.B) {
			w := open(b, Options{Loops: 1, Log: one.log})
			s, p, r, c := w.Shard(1), w.Place(shop), parse(b, one.head), &Client{Addr: netip.MustParseAddr("192.0.2.1")}
			now := int64(1)
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				now += 1000
				ordinary(s, c, p, r, now)
				if n%1024 == 0 {
					b.StopTimer()
					if err := w.Reopen(); err != nil { // which writes what is logged so far
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
		})
	}
}

func TestAnOrdinaryRequestAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	w := open(t, Options{Loops: 1, Log: accesslog.Options{Writer: io.Discard}})
	s, p, r, c := w.Shard(1), w.Place(shop), parse(t, browser), &Client{Addr: netip.MustParseAddr("192.0.2.1")}
	now := int64(1)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1000
		ordinary(s, c, p, r, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
