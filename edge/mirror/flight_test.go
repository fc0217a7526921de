package mirror

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/route"
)

// An airline is a driver's loop: what is to be done there is done in turn, by whoever calls land.
type airline struct {
	mu  sync.Mutex
	all []*boarded
}

type boarded struct {
	*front.Subrequest
	line     *airline
	canceled bool
}

func (l *airline) Run(s *front.Subrequest) front.Running {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &boarded{Subrequest: s, line: l}
	l.all = append(l.all, b)
	return b
}

func (b *boarded) Cancel() {
	b.line.mu.Lock()
	defer b.line.mu.Unlock()
	b.canceled = true
}

// land ends the nth of what is under way.
func (l *airline) land(n int, status, content string, err error) {
	l.mu.Lock()
	b := l.all[n]
	l.all = append(l.all[:n], l.all[n+1:]...)
	canceled := b.canceled
	l.mu.Unlock()
	if canceled {
		b.To.End(context.Canceled)
		return
	}
	var r http1.Response
	if _, err := r.Parse([]byte("HTTP/1.1 "+status+"\r\nContent-Type: application/json\r\n\r\n"), &http1.DefaultResponse, http1.Asked{Method: b.Method}); err != nil {
		panic(err)
	}
	if b.To.Head(&r); content != "" && !b.To.Content([]byte(content)) {
		err = nil
	}
	b.To.End(err)
}

// driven is a request as a driver has it.
func driven(t interface{ Fatal(...any) }, text string) *http1.Request {
	r := new(http1.Request)
	if n, err := r.Parse([]byte(text), &http1.Default); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return r
}

// claims is a sender whose instance is there or not, as from says, and that knows how many claims are open.
func claims(open *int, cuts *[]func(), from func() error) func(semper.PoolKey) Sender {
	return func(semper.PoolKey) Sender {
		return Sender{
			Trip: func(*http.Request) (*http.Response, func(error) bool, error) { return nil, nil, ErrNobody },
			Claim: func(cut func()) (*front.Target, func(error) bool, error) {
				if err := from(); err != nil {
					return nil, nil, err
				}
				*open++
				*cuts = append(*cuts, cut)
				return &front.Target{}, func(error) bool { *open--; return false }, nil
			},
		}
	}
}

// TestEachFlightIsInOneColumn: what TestEachSampledRequestIsInOneColumn says, of copies that a driver makes; and every claim is given back.
func TestEachFlightIsInOneColumn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := serve(t)
		defer m.Close()
		line, open, cuts := &airline{}, 0, []func(){}
		from := func() error {
			return rapid.SampledFrom([]error{nil, nil, nil, ErrNobody, ErrForeign}).Draw(rt, "claim")
		}
		by, err := m.Plan(table(1, semper.Shadowing{Concurrency: 6, Body: 100, Bytes: 8 * overhead}), claims(&open, &cuts, from), time.Now())
		if err != nil {
			rt.Fatal(err)
		}
		one := by[web]
		n := rapid.IntRange(1, 20).Draw(rt, "requests")
		var under []*Copy
		land := func() {
			if len(line.all) > 0 {
				line.land(rapid.IntRange(0, len(line.all)-1).Draw(rt, "which"), "200 OK", strings.Repeat("1", rapid.IntRange(0, 120).Draw(rt, "length")),
					rapid.SampledFrom([]error{nil, errors.New("reset")}).Draw(rt, "end"))
			}
		}
		for range n {
			r := driven(rt, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
			c := one.Driven(r, &http1.Forward{}, route.ShadowSafe, line)
			c.Send()
			if under = append(under, c); rapid.Bool().Draw(rt, "land") {
				land()
			}
			if len(cuts) > 0 && rapid.IntRange(0, 4).Draw(rt, "cut") == 0 {
				cuts[rapid.IntRange(0, len(cuts)-1).Draw(rt, "whom")]()
			}
		}
		for _, c := range under {
			if w := c.Head(answerOf(rt)); w != nil {
				w.Write([]byte("1")) //nolint:errcheck // never
			}
			c.End(rapid.Bool().Draw(rt, "whole"))
		}
		for len(line.all) > 0 {
			land()
		}
		if c := settled(t, m, one); c.Sampled != uint64(n) || open != 0 {
			rt.Fatalf("%d of %d were sampled, %d claims are open", c.Sampled, n, open)
		}
	})
}

func answerOf(t interface{ Fatal(...any) }) *http1.Response {
	r := new(http1.Response)
	if n, err := r.Parse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), &http1.DefaultResponse, http1.Asked{Method: http1.GET}); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return r
}

// TestAFlightHasASpanOfItsOwn, however the client spells the field, and nothing else of the head is touched.
func TestAFlightHasASpanOfItsOwn(t *testing.T) {
	t.Parallel()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	m := serve(t)
	line, open, cuts := &airline{}, 0, []func(){}
	by, err := m.Plan(table(1, semper.Shadowing{}), claims(&open, &cuts, func() error { return nil }), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"TraceParent:00-" + trace + "-" + parent + "-01", "traceparent:  \t00-" + trace + "-" + parent + "-00 "} {
		c := by[web].Driven(driven(t, "GET /?"+parent+" HTTP/1.1\r\nHost: a\r\n"+field+"\r\nX-Other: 00-"+trace+"-"+parent+"-01\r\n\r\n"), &http1.Forward{}, route.ShadowSafe, line)
		c.Send()
		heads := map[string]bool{string(c.head): true}
		for _, b := range line.all {
			head := string(b.Head)
			if heads[head] || len(head) != len(c.head) || strings.Count(head, parent) != 2 || strings.Count(head, trace) != 2 || !strings.Contains(head, "Semper-Shadow: 1\r\n") {
				t.Errorf("%q", head)
			}
			heads[head] = true
		}
		if len(heads) != 3 {
			t.Errorf("%d heads", len(heads))
		}
		for len(line.all) > 0 {
			line.land(0, "200 OK", "", nil)
		}
		c.End(false)
	}
	settled(t, m, by[web])
	if open != 0 {
		t.Errorf("%d claims are open", open)
	}
}
