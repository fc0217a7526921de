package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper/edge/conformance/wire"
)

// Verdict is what a case came to.
type Verdict int

// The verdicts.
const (
	Pass Verdict = iota
	Fail
	Skip
)

func (v Verdict) String() string { return [...]string{"pass", "FAIL", "skip"}[v] }

// Result is the verdict on one case over one transport.
type Result struct {
	Row       int
	Case      string
	Transport Transport
	Verdict   Verdict
	Detail    string // of Fail: what was seen and why that is wrong; of Skip: the reason; of Pass: what was seen
}

func (r Result) String() string {
	return fmt.Sprintf("row %d %s (%s): %s: %s", r.Row, r.Case, r.Transport, r.Verdict, r.Detail)
}

// Check runs every case that row has for tr against t, one after the other. None: the row is not for tr.
func Check(ctx context.Context, t *Target, row Row, tr Transport) []Result {
	var all []Result
	for i := range row.Cases {
		c := &row.Cases[i]
		if !c.applies(tr) {
			continue
		}
		res := Result{Row: row.Number, Case: c.Name, Transport: tr}
		if why := t.lacks(row, c, tr); why != "" {
			res.Verdict, res.Detail = Skip, why
		} else {
			r := &run{ctx: ctx, target: t, tr: tr, c: c}
			res.Verdict, res.Detail = r.do()
		}
		all = append(all, res)
	}
	return all
}

func (c *Case) applies(tr Transport) bool {
	if c.Only != nil {
		return slices.Contains(c.Only, tr)
	}
	switch {
	case c.Run != nil, c.Proxy:
		return tr == Plain
	case tr == H2:
		return c.H2 != nil || c.Mux != nil
	case tr == H3:
		return c.Mux != nil
	}
	return c.Steps != nil
}

// lacks is why the case cannot be run against t; empty when it can.
func (t *Target) lacks(row Row, c *Case, tr Transport) string {
	if t.addr(tr) == "" {
		return "the target has no listener for " + tr.String()
	}
	if c.Proxy && t.Proxy == "" {
		return "the target has no listener for the PROXY protocol"
	}
	if c.Needs != nil {
		if why := c.Needs(t); why != "" {
			return why
		}
	}
	if t.Supports != nil {
		if ok, why := t.Supports(row, tr); !ok {
			return why
		}
	}
	return ""
}

// run is one case under way.
type run struct {
	ctx     context.Context
	target  *Target
	tr      Transport
	c       *Case
	awaited int           // responses waited for
	asked   int           // requests waited for at the recorder
	lag     time.Duration // how late the suite itself was, at worst, where a deadline of the proxy's ran
}

// tries bounds how often a case is begun anew because the suite was too late for it to mean anything.
const tries = 20

// do is one try that means something. A proxy that ends a connection at its deadline is right when it was the suite that
// did not send in time, as happens on a machine that does much else.
func (r *run) do() (Verdict, string) {
	for range tries {
		*r = run{ctx: r.ctx, target: r.target, tr: r.tr, c: r.c}
		v, why := r.once()
		if short := r.target.Deadlines.shortest(); v != Fail || short == 0 || r.lag < short/4 {
			return v, why
		}
	}
	return Fail, fmt.Sprintf("this machine is too slow to tell: in %d tries the suite was late each time", tries)
}

func (r *run) once() (Verdict, string) {
	script := func(q *wire.Request) Reply {
		if own(q.Target) {
			return Reply{}
		}
		return r.c.Reply
	}
	r.target.cases++
	r.target.Backend.Begin(script)
	if r.target.Guarded != nil {
		r.target.Guarded.Begin(script)
	}
	if r.c.Run != nil {
		if err := errors.Join(r.c.Run(r), r.fence()); err != nil {
			return Fail, err.Error()
		}
		return Pass, "as it should"
	}
	seen, err := r.send()
	if err != nil {
		return Fail, err.Error()
	}
	if err := r.fence(); err != nil {
		return Fail, seen.String() + ": " + err.Error()
	}
	if err := r.settle(&seen); err != nil {
		return Fail, fmt.Sprintf("%s: %v", &seen, err)
	}
	return Pass, seen.String()
}

// own are the targets of the suite's own good requests: those behind a bad one, and those behind a case.
func own(target string) bool {
	return strings.HasPrefix(target, "/probe") || strings.HasPrefix(target, "/fence")
}

// send plays the client's part and returns what it saw.
func (r *run) send() (Seen, error) {
	switch r.tr {
	case H2:
		return r.sendH2()
	case H3:
		return r.sendH3()
	}
	addr := r.target.addr(r.tr)
	if r.c.Proxy {
		addr = r.target.Proxy
	}
	began := time.Now()
	conn, err := dial(r.ctx, r.target, r.tr, addr, r.target.Host, "http/1.1")
	r.late(began) // a handshake has its deadline too
	if err != nil {
		return Seen{}, err
	}
	c := newClient(conn, r.target, r.c.Methods)
	c.do(r, r.c.Steps)
	late := time.Now().Add(r.target.patience())
	c.wait(time.Until(late), func(s *Seen, _ int) bool { return len(s.Answers) >= max(r.c.Answers, 1) })
	c.wait(time.Until(late), func(s *Seen, _ int) bool { return r.decided(*s) })
	return c.close(), nil
}

// late notes how long after due it is.
func (r *run) late(due time.Time) { r.lag = max(r.lag, time.Since(due)) }

// decided reports whether the end of the connection would make no difference to an outcome that is still possible.
func (r *run) decided(s Seen) bool {
	var open, ended, broken bool
	for _, o := range r.c.Want {
		open = open || o.client(&s) == nil
		s.Ended = Closed
		ended = ended || o.client(&s) == nil
		s.Ended = Truncated
		broken = broken || o.client(&s) == nil
		s.Ended = Open
	}
	return open || !ended && !broken
}

// fence sends a good request over a connection of its own: the proxy must be well, and its connections to the recorder
// clean. What the case left under way has reached the recorder, or will not.
func (r *run) fence() error {
	tr := Plain
	if r.target.Plain == "" {
		tr = TLS
	}
	conn, err := dial(r.ctx, r.target, tr, r.target.addr(tr), r.target.Host, "http/1.1")
	if err != nil {
		return err
	}
	c := newClient(conn, r.target, nil)
	c.do(r, []Step{send("GET /fence HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")})
	ok := c.wait(r.target.patience(), func(s *Seen, _ int) bool { return len(s.Answers) > 0 })
	seen := c.close()
	if !ok || len(seen.Answers) != 1 || seen.Answers[0].Status != 200 || string(seen.Answers[0].Body) != "GET /fence\n" {
		return fmt.Errorf("the good request behind the case was not served as it should: %s", &seen)
	}
	return nil
}

// settle judges s with what has reached the recorders. What the client saw stands; the recorders may need a moment, for
// what is half done there and for connections that are about to be closed.
func (r *run) settle(s *Seen) error {
	s.target = r.target
	ctx, cancel := context.WithTimeout(r.ctx, r.target.patience())
	defer cancel()
	if !slices.ContainsFunc(r.c.Want, func(o Outcome) bool { return o.client(s) == nil }) {
		cancel() // no moment will help
	}
	var err error
	for _, at := range r.target.recorders() {
		at.Wait(ctx, func([]Message) bool {
			s.Messages = r.of(r.target.Backend)
			if r.target.Guarded != nil {
				s.Guarded = r.of(r.target.Guarded)
			}
			err = r.judge(s)
			return err == nil
		})
	}
	return err
}

func (t *Target) recorders() []*Recorder {
	if t.Guarded == nil {
		return []*Recorder{t.Backend}
	}
	return []*Recorder{t.Backend, t.Guarded}
}

// of are a recorder's messages of this case: no fences, and nothing late of a case before.
func (r *run) of(at *Recorder) []Message {
	number := strconv.Itoa(r.target.cases)
	return slices.DeleteFunc(at.Messages(), func(m Message) bool {
		if m.Request == nil {
			return false
		}
		of := m.Request.Fields.Get("X-Case")
		return strings.HasPrefix(m.Request.Target, "/fence") || of != "" && of != number
	})
}

// forAnEnd is what a proxy gets to end its idle connection to an instance by itself. It need not: it may look at it when it
// uses it again.
const forAnEnd = time.Second

// backendStep does the steps that are about the recorder.
func (r *run) backendStep(do Do) {
	within := r.target.patience()
	if do == AwaitGone {
		within = min(within, forAnEnd)
	}
	ctx, cancel := context.WithTimeout(r.ctx, within)
	defer cancel()
	switch do {
	case AwaitRequest:
		r.asked++
		r.target.Backend.Wait(ctx, func(all []Message) bool {
			n := 0
			for _, m := range all {
				if m.Request != nil {
					n++
				}
			}
			return n >= r.asked
		})
	case AwaitGone:
		r.target.Backend.Wait(ctx, func(all []Message) bool {
			return !slices.ContainsFunc(all, func(m Message) bool { return m.Open })
		})
	case Release:
		r.target.Backend.Release()
	}
}
