package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"semper/edge/conformance/wire"
)

// probe is a good request sent right behind a bad one. Behind a refusal it must not be answered, nor reach anybody;
// behind what was served it must be served as itself: so it shows where the proxy thinks that the bad one ended.
const probe = "GET /probe HTTP/1.1\r\nHost: {host}\r\n\r\n"

// head is a request head with a good Host.
func head(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: {host}\r\nX-Case: {case}\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
}

// chunked is a POST with a chunked body as given.
func chunked(body string) string { return head("POST /r", "Transfer-Encoding: chunked") + body }

// bad is a case of one input with a probe behind it.
func bad(name, raw string, want ...Outcome) Case {
	if want == nil {
		want = []Outcome{refused(400)}
	}
	return Case{Name: name, Steps: []Step{send(raw, probe)}, Answers: 2, Want: want}
}

// each is a bad case for every value put into format.
func each(format string, want []Outcome, values ...string) []Case {
	var all []Case
	for _, v := range values {
		all = append(all, bad(fmt.Sprintf("%.40q", v), strings.Replace(format, "%s", v, 1), want...))
	}
	return all
}

// muxed is a bad request over HTTP/2 and HTTP/3: fields alone.
func muxed(name string, fields []string, want ...Outcome) Case {
	if want == nil {
		want = []Outcome{malformed()}
	}
	return Case{Name: name, Want: want, Mux: func(h mux) error { return h.open(1, true, fields...) }}
}

// posted is a bad POST of "hello" over HTTP/2 and HTTP/3.
func posted(name string, fields []string, want ...Outcome) Case {
	if want == nil {
		want = []Outcome{malformed()}
	}
	return Case{Name: name, Want: want, Mux: func(h mux) error {
		if err := h.open(1, false, fields...); err != nil {
			return err
		}
		return h.data(1, true, "hello")
	}}
}

// gets is a case of one good GET, over every transport, whose answer is the matter.
func gets(name string, reply Reply, want ...Outcome) Case {
	return Case{Name: name, Reply: reply, Want: want,
		Steps: []Step{send(head("GET /r"))}, Mux: func(h mux) error { return h.open(1, true, get("/r")...) }}
}

// refused: answered so, closed, and nothing of it forwarded.
func refused(codes ...int) Outcome {
	return Outcome{Name: "refused", Status: codes, Close: true, Reach: Nothing}
}

// stopped: the same, where the fault shows only in the body: what was forwarded is broken off.
func stopped(codes ...int) Outcome {
	return Outcome{Name: "refused in its body", Status: codes, Close: true, Reach: NothingWhole}
}

// dropped: closed without a word.
func dropped() Outcome {
	return Outcome{Name: "closed without an answer", Close: true, Reach: NothingWhole}
}

// declined: a request that is well-formed and leads nowhere. The connection may stay.
func declined(codes ...int) Outcome {
	return Outcome{Name: "declined", Status: codes, Reset: true, Reach: Anything, Check: func(s *Seen) error {
		for _, m := range slices.Concat(s.Messages, s.Guarded) {
			if m.Request == nil || !own(m.Request.Target) {
				return errors.New("something of it reached the backend")
			}
		}
		return nil
	}}
}

// malformed: what HTTP/2 and HTTP/3 have for bad requests.
func malformed(codes ...int) Outcome {
	return Outcome{Name: "refused", Status: append(codes, 400), Reset: true, Reach: NothingWhole}
}

// served: forwarded as a good request for which every check holds.
func served(checks ...check) Outcome {
	return Outcome{Name: "served", Status: []int{200}, Reach: Whole, Check: requests(checks...)}
}

// check is nil when nothing is wrong with a request that reached a recorder.
type check func(*Target, *wire.Request) error

// requests checks the first message that reached a recorder and is no probe.
func requests(checks ...check) func(*Seen) error {
	return func(s *Seen) error {
		all := slices.DeleteFunc(slices.Concat(s.Messages, s.Guarded), func(m Message) bool { return m.Request != nil && own(m.Request.Target) })
		if len(all) == 0 || !all[0].Whole() {
			return errors.New("no whole request to look at")
		}
		for _, c := range checks {
			if err := c(s.target, all[0].Request); err != nil {
				return err
			}
		}
		return nil
	}
}

// badGateway: the backend's fault, said so, and its connection given up.
func badGateway() Outcome {
	return Outcome{Name: "502", Status: []int{502}, Reset: true, Reach: Repeated, Check: abandoned}
}

// cutOff: an answer that had begun when its fault showed, and that nobody can take for whole.
func cutOff() Outcome {
	return Outcome{Name: "cut off", Broken: true, Reach: Repeated, Check: abandoned}
}

// abandoned checks that no connection of the case is kept.
func abandoned(s *Seen) error {
	for _, m := range s.Messages {
		if m.Open && (m.Request == nil || !own(m.Request.Target)) {
			return errors.New("the connection to the backend is kept")
		}
	}
	return nil
}

func without(names ...string) check {
	return func(_ *Target, q *wire.Request) error {
		for _, n := range names {
			if q.Fields.Has(n) || q.Trailer.Has(n) {
				return fmt.Errorf("the backend got %s: %q%q", n, q.Fields.Get(n), q.Trailer.Get(n))
			}
		}
		return nil
	}
}

// untrailed checks that a field is not in the trailer.
func untrailed(name string) check {
	return func(_ *Target, q *wire.Request) error {
		if q.Trailer.Has(name) {
			return fmt.Errorf("the backend got the trailer %s: %q", name, q.Trailer.Get(name))
		}
		return nil
	}
}

func with(name, value string) check {
	return func(t *Target, q *wire.Request) error {
		if got, value := q.Fields.Get(name), t.fill(value); got != value {
			return fmt.Errorf("the backend got %s %q, not %q", name, got, value)
		}
		return nil
	}
}

// lacking checks that no line of a field has a value in it that only the client can have put there.
func lacking(value string) check {
	return func(_ *Target, q *wire.Request) error {
		for _, f := range slices.Concat(q.Fields, q.Trailer) {
			if strings.Contains(f.Value, value) {
				return fmt.Errorf("the backend got %s: %q", f.Name, f.Value)
			}
		}
		return nil
	}
}

func body(want string) check {
	return func(_ *Target, q *wire.Request) error {
		if string(q.Body) != want {
			return fmt.Errorf("the backend got the body %.40q, not %.40q", q.Body, want)
		}
		return nil
	}
}

func target(one ...string) check {
	return func(_ *Target, q *wire.Request) error {
		if !slices.Contains(one, q.Target) {
			return fmt.Errorf("the backend got the target %q, not one of %q", q.Target, one)
		}
		return nil
	}
}
