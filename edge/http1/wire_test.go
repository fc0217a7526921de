package http1

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A message is what a connection yields, in words.
type message struct {
	start    string   // "GET /path?query" or "200 OK"
	host     string   // of a request
	fields   []string // "name: value", in their order
	framing  FramingKind
	body     string
	trailers []string
	keep     bool
	done     bool // it came to its end
	sent     string
}

func (m message) String() string {
	return fmt.Sprintf("%s | host %s | %q | framing %d | %q | trailers %q | keep %v | done %v", m.start, m.host, m.fields, m.framing, m.body, m.trailers, m.keep, m.done)
}

// A wire is a driver as small as can be: bytes in, in whatever pieces, messages and one fault at the end out.
type wire struct {
	lim      Limits
	response bool
	asked    Asked
	forward  Forward
	answer   Answer

	in       []byte
	req      Request
	resp     Response
	body     Body
	inBody   bool
	ended    bool // nothing more is taken
	messages []message
	fault    *Error
}

func (w *wire) feed(p []byte) {
	w.in = append(slices.Clone(w.in), p...) // it moves each time, so that whoever kept an old slice is found out
	for !w.ended && w.step() {
	}
}

// step takes what it can, and reports whether there may be more to take.
func (w *wire) step() bool {
	if !w.inBody {
		if len(w.in) == 0 {
			return false
		}
		n, err := w.parse()
		if err != nil || n == 0 {
			return w.fail(err)
		}
		w.begin()
		w.in = w.in[n:]
		w.inBody = true
	}
	m := &w.messages[len(w.messages)-1]
	piece, n, done, err := w.body.Next(w.in)
	if err != nil {
		return w.fail(err)
	}
	m.body += string(piece)
	w.in = w.in[n:]
	if !done {
		return n > 0
	}
	w.finish()
	return true
}

func (w *wire) parse() (int, error) {
	if w.response {
		return w.resp.Parse(w.in, &w.lim, w.asked)
	}
	return w.req.Parse(w.in, &w.lim)
}

func (w *wire) fail(err error) bool {
	if err == nil {
		return false
	}
	if !errors.As(err, &w.fault) {
		panic(fmt.Sprintf("%T is no *Error", err))
	}
	w.ended = true
	return false
}

func (w *wire) begin() {
	var m message
	var h *head
	if w.response {
		r := &w.resp
		h = &r.head
		m.start, m.framing, m.keep = fmt.Sprintf("%d %s", r.Status, r.Reason()), r.Framing.Kind, r.KeepAlive
		m.sent = string(AppendResponse(nil, r, &w.answer))
		w.body.ResetResponse(r, &w.lim)
	} else {
		r := &w.req
		h = &r.head
		m.start, m.host, m.framing, m.keep = fmt.Sprintf("%s %s", r.MethodName(), r.Path()), string(r.Host()), r.Framing.Kind, r.KeepAlive
		if r.HasQuery {
			m.start += "?" + string(r.Query())
		}
		f := w.forward
		if len(r.Host()) == 0 {
			f.Host, m.host = []byte("unknown.invalid"), "unknown.invalid"
		}
		m.sent = string(AppendRequest(nil, r, &f))
		w.body.ResetRequest(r, &w.lim)
	}
	for i := range h.Fields() {
		if k, name, value := h.Field(i); h.Forwards(i) && k != Host && k != ContentLength {
			m.fields = append(m.fields, fmt.Sprintf("%s: %s", name, value))
		}
	}
	w.messages = append(w.messages, m)
}

func (w *wire) finish() {
	m := &w.messages[len(w.messages)-1]
	m.done = true
	for name, value := range w.body.Trailers() {
		m.trailers = append(m.trailers, fmt.Sprintf("%s: %s", name, value))
	}
	framing := m.framing
	if w.response {
		framing = w.outFraming()
	}
	w.send(m, framing)
	w.inBody = false
	if w.response {
		w.ended = !w.resp.Informational() // a second answer was not asked for
		w.resp.Reset()
	} else {
		w.ended = !m.keep
		w.req.Reset()
	}
}

func (w *wire) outFraming() FramingKind {
	f, _ := w.answer.Framing(&w.resp)
	return f.Kind
}

func (w *wire) send(m *message, f FramingKind) {
	if f == Chunked {
		m.sent = string(AppendLastChunk(AppendChunk([]byte(m.sent), []byte(m.body)), &w.body))
	} else {
		m.sent += m.body
	}
}

// end is the end of the connection.
func (w *wire) end() {
	if w.ended {
		return
	}
	if !w.inBody {
		return
	}
	if err := w.body.Truncated(); err != nil {
		w.fail(err)
		return
	}
	w.finish()
}

// String tells everything that must not depend on pieces.
func (w *wire) String() string {
	var b strings.Builder
	for _, m := range w.messages {
		fmt.Fprintf(&b, "%v\nsent %q\n", m, m.sent)
	}
	if w.fault != nil {
		fmt.Fprintf(&b, "fault %d %s\n", w.fault.Status, w.fault.Reason)
	}
	return b.String()
}

// status is the fault's, 0 for none.
func (w *wire) status() int {
	if w.fault == nil {
		return 0
	}
	return w.fault.Status
}

func (w *wire) sent() string {
	var b strings.Builder
	for _, m := range w.messages {
		b.WriteString(m.sent)
	}
	return b.String()
}

// read gives all of raw to a new wire like w, whole.
func (w wire) read(raw []byte) *wire {
	w.feed(raw)
	w.end()
	return &w
}

// everySplit reads raw whole, cut in two at every point, and byte by byte: all must be the same.
func everySplit(t testing.TB, w wire, raw []byte) *wire {
	t.Helper()
	whole := w.read(raw)
	want := whole.String()
	check := func(how string, got *wire) {
		if s := got.String(); s != want {
			t.Fatalf("%q %s:\n%s\nwhole:\n%s", raw, how, s, want)
		}
	}
	step := max(1, len(raw)/512)
	for cut := 1; cut < len(raw); cut += step {
		v := w
		v.feed(raw[:cut])
		v.feed(raw[cut:])
		v.end()
		check(fmt.Sprint("cut at ", cut), &v)
	}
	if len(raw) > 4096 { // byte by byte it is copied as often
		return whole
	}
	v := w
	for i := range raw {
		v.feed(raw[i : i+1])
	}
	v.end()
	check("byte by byte", &v)
	return whole
}

// reparses checks that what is sent says the same again.
func reparses(t testing.TB, w *wire) {
	t.Helper()
	for _, m := range w.messages {
		if !m.done {
			continue
		}
		again := wire{lim: w.lim, response: w.response, asked: w.asked, forward: Forward{}, answer: w.answer}
		again.lim.Head *= 2
		again.lim.Line *= 2
		again.lim.Target *= 2
		again.lim.Fields += 16
		v := again.read([]byte(m.sent))
		if v.fault != nil || len(v.messages) != 1 || len(v.in) != 0 {
			t.Fatalf("sent\n%q\nreads as\n%v", m.sent, v)
		}
		got := v.messages[0]
		if got.start != m.start || !w.response && got.host != m.host || got.body != m.body || got.framing == Chunked && !slices.Equal(got.trailers, m.trailers) || !got.done {
			t.Fatalf("sent\n%q\nreads as\n%v\ninstead of\n%v", m.sent, got, m)
		}
		for _, f := range m.fields {
			if k := kindOf([]byte(f[:strings.IndexByte(f, ':')])); (provenance | 1<<Expect | 1<<SemperError).has(k) {
				continue
			}
			if !slices.Contains(got.fields, f) {
				t.Fatalf("sent\n%q\nhas lost %q", m.sent, f)
			}
		}
	}
}

func lines(s ...string) []byte { return []byte(strings.Join(s, "\r\n") + "\r\n\r\n") }

func has(b []byte, s string) bool {
	return bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(s)))
}
