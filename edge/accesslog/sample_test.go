package accesslog

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"testing"
	"time"

	"semper/edge/trace"
)

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	t.Parallel()
	all, err := compile([]Rule{
		{From: 500, To: 599, Share: 1},
		{Slower: time.Second, Share: 1},
		{Sampled: true, Share: 1},
		{From: 200, To: 299, Share: .25},
		{From: 404, To: 404},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		e     Entry
		share float32
		kept  bool // by the least and by the greatest chance
		last  bool
	}{
		{Entry{Status: 500}, 1, true, true},
		{Entry{Status: 599}, 1, true, true},
		{Entry{Status: 200}, .25, true, false},
		{Entry{Status: 200, Took: time.Second}, 1, true, true},
		{Entry{Status: 404, Took: time.Second - 1}, 0, false, false},
		{Entry{Status: 404, TraceSampled: true}, 1, true, true},
		{Entry{Status: 301}, 1, true, true},
		{Entry{}, 1, true, true},
	} {
		for i, chance := range []uint64{0, 1<<64 - 1} {
			share, kept := all.keep(&c.e, chance)
			if want := [2]bool{c.kept, c.last}[i]; share != c.share || kept != want {
				t.Errorf("%+v by chance %d: %v at %g", c.e, i, kept, share)
			}
		}
	}
}

func TestASampleIsAboutItsShare(t *testing.T) {
	t.Parallel()
	const n, share = 40_000, .1
	var out bytes.Buffer
	l := open(t, Options{Writer: &out, Records: n, Rules: []Rule{{Share: share}}})
	r := l.Ring()
	kept := 0
	for i := range n {
		if r.Write(numbered(i, 1)) {
			kept++
		}
	}
	shut(t, l)
	// Six standard deviations.
	if off := float64(kept)/n - share; off*off > 36*share*(1-share)/n {
		t.Errorf("%d of %d", kept, n)
	}
	if s := l.Stats(); s != (Stats{Written: uint64(kept)}) {
		t.Errorf("%+v", s)
	}
	line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	var got struct{ Share float32 }
	if err := json.Unmarshal(line, &got); err != nil || got.Share != share {
		t.Errorf("%s: %v", line, err)
	}
}

// ordinary is the entry of an ordinary request.
func ordinary() *Entry {
	return &Entry{
		Began: 1_795_246_245_123_456_789, Took: 1234567, Upstream: 1100000,
		Client: netip.MustParseAddr("192.0.2.17"), Method: []byte("GET"), Target: []byte("/articles/2026/11/how-it-works?page=2"),
		Host: []byte("www.example.org"), Status: 200, ResponseBytes: 5120, Tries: 1,
		UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"),
		Referer:   []byte("https://www.example.org/articles/"), ID: []byte("01jd3k9v6wq2a8r5"), Trace: trace.ID{1, 15: 2}, Span: trace.SpanID{3},
		Place: NewPlace("shop", "r42", "", "shop/production/web", "www.example.org/"), Instance: "shop/web.r42.3",
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	l := open(t, Options{Writer: io.Discard, Rules: []Rule{{From: 500, To: 599, Share: 1}, {Share: .9}}})
	defer l.Close()
	r, s, e := l.Ring(), l.Shared(), ordinary()
	if n := testing.AllocsPerRun(10_000, func() { r.Write(e); s.Write(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	l, _ := opened(Options{Writer: io.Discard})
	defer l.Close()
	r, e := l.Ring(), ordinary()
	b.ReportAllocs()
	for b.Loop() {
		r.Write(e)
	}
	b.ReportMetric(float64(l.Stats().Dropped)/float64(b.N), "dropped/op")
}

// BenchmarkWriteAlone is the producer's part: the records are taken unread, outside of the time.
func BenchmarkWriteAlone(b *testing.B) {
	l := &Log{}
	r, e := newRing(l, 1024), ordinary()
	b.ReportAllocs()
	for b.Loop() {
		if !r.Write(e) {
			b.StopTimer()
			r.takenByte.Store(r.nextByte)
			r.taken.Store(r.next)
			b.StartTimer()
		}
	}
}

func BenchmarkWriteShared(b *testing.B) {
	l, _ := opened(Options{Writer: io.Discard})
	defer l.Close()
	s := l.Shared()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		e := ordinary()
		for p.Next() {
			s.Write(e)
		}
	})
}

func benchmarkFormat(b *testing.B, f Format) {
	l := &Log{}
	r := newRing(l, 64)
	r.Write(ordinary())
	format, buf := newFormatter(f), make([]byte, 0, 2048)
	var rec *record
	var strings []byte
	r.each(func(got *record, s []byte) { rec, strings = got, s })
	b.ReportAllocs()
	for b.Loop() {
		buf = format.append(buf[:0], rec, strings)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkJSON(b *testing.B)     { benchmarkFormat(b, JSON) }
func BenchmarkCombined(b *testing.B) { benchmarkFormat(b, Combined) }
