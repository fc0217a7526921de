package conformance

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper/edge/conformance/wire"
)

// judge is nil when one of the outcomes has come about, else it says for each why not.
func (r *run) judge(s *Seen) error {
	var wrong []string
	for _, o := range r.c.Want {
		err := errors.Join(o.client(s), o.backend(s))
		if err == nil && o.Check != nil {
			err = o.Check(s)
		}
		if err == nil {
			return nil
		}
		wrong = append(wrong, "not "+o.Name+": "+strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	return errors.New(strings.Join(wrong, "; "))
}

// client judges what the client saw.
func (o *Outcome) client(s *Seen) error {
	if s.Ended == Garbage {
		return fmt.Errorf("the client got what is no HTTP: %w", s.Error)
	}
	failed := len(s.Resets) > 0 || s.GoAway != nil
	if o.Reset && failed {
		return nil
	}
	var wrong []error
	broken := s.Ended == Truncated || s.Ended == ResetByPeer || failed
	switch {
	case o.Broken && len(s.Answers) == 0 && s.Ended == Closed:
		return nil // not even a head: nobody takes that for whole
	case o.Broken && !broken:
		return errors.New("the client cannot tell that the answer is not whole")
	case o.Broken:
		return nil
	case len(o.Status) == 0 && len(s.Answers) > 0:
		wrong = append(wrong, fmt.Errorf("status %d", s.Answers[0].Status))
	case len(o.Status) > 0 && len(s.Answers) == 0:
		wrong = append(wrong, errors.New("no answer"))
	case len(o.Status) > 0 && !slices.Contains(o.Status, s.Answers[0].Status):
		wrong = append(wrong, fmt.Errorf("status %d, not %v", s.Answers[0].Status, o.Status))
	}
	if s.Ended == Truncated {
		wrong = append(wrong, s.Error)
	}
	switch {
	case !o.Close || s.Ended != Open:
	case !s.h2:
		wrong = append(wrong, errors.New("the connection stays open"))
	case s.halfway > 0 && !failed:
		wrong = append(wrong, errors.New("a stream stays open"))
	}
	if o.Close && len(s.Answers) > 1 {
		wrong = append(wrong, fmt.Errorf("%d answers where the first is the last", len(s.Answers)))
	}
	return errors.Join(wrong...)
}

// backend judges what reached the recorders.
func (o *Outcome) backend(s *Seen) error {
	all := slices.Concat(s.Messages, s.Guarded)
	whole := 0
	var wrong []error
	for _, m := range all {
		switch {
		case m.Whole():
			whole++
		case m.Done && !aborted(m.Err) && o.Reach != Anything:
			wrong = append(wrong, fmt.Errorf("the backend got what is no request: %w", m.Err))
		case !m.Done && o.Reach != Anything:
			wrong = append(wrong, errors.New("half a request stands open at the backend"))
		}
	}
	switch o.Reach {
	case Nothing:
		if len(all) > 0 {
			wrong = append(wrong, fmt.Errorf("%d requests reached the backend, or began to", len(all)))
		}
	case NothingWhole:
		if whole > 0 {
			wrong = append(wrong, fmt.Errorf("%d whole requests reached the backend", whole))
		}
	case Whole:
		if whole != len(s.Answers) || whole != len(all) {
			wrong = append(wrong, fmt.Errorf("%d requests at the backend, %d of them whole, for %d answers", len(all), whole, len(s.Answers)))
		} else {
			wrong = append(wrong, echoes(s, all))
		}
	case Repeated:
		if whole == 0 {
			wrong = append(wrong, errors.New("no whole request reached the backend"))
		}
	case Anything:
	}
	return errors.Join(wrong...)
}

// echoes checks that each answer that is the recorder's own echo is that to its request, and any but the first a probe's.
func echoes(s *Seen, all []Message) error {
	for i, a := range s.Answers {
		body := string(a.Body)
		if a.Status != 200 || a.Fields.Get("Content-Type") != "text/plain" || body == "" {
			continue
		}
		if i > 0 && body != "GET /probe\n" {
			return fmt.Errorf("answer %d is %q, not that to the probe", i+1, body)
		}
		if !slices.ContainsFunc(all, func(m Message) bool { return body == m.Request.Method+" "+m.Request.Target+"\n" }) {
			return fmt.Errorf("answer %d is %q: no request is", i+1, body)
		}
	}
	return nil
}

// String says in a line what was seen.
func (s *Seen) String() string {
	var b strings.Builder
	if n := len(s.Interim); n > 0 {
		fmt.Fprintf(&b, "%d interim, ", n)
	}
	for _, a := range s.Answers {
		fmt.Fprintf(&b, "%d, ", a.Status)
	}
	if len(s.Answers) == 0 {
		b.WriteString("no answer, ")
	}
	for _, id := range slices.Sorted(maps.Keys(s.Resets)) {
		fmt.Fprintf(&b, "stream %d reset with %s, ", id, s.Resets[id])
	}
	if s.GoAway != nil {
		fmt.Fprintf(&b, "GOAWAY %s, ", *s.GoAway)
	}
	b.WriteString(s.Ended.String())
	if s.Ended == Open && s.halfway > 0 {
		fmt.Fprintf(&b, ", %d streams not ended", s.halfway)
	}
	all := slices.Concat(s.Messages, s.Guarded)
	for i, m := range all {
		if i == 4 {
			fmt.Fprintf(&b, "; and %d more", len(all)-i)
			break
		}
		switch {
		case m.Whole():
			fmt.Fprintf(&b, "; backend got %s %.60s", m.Request.Method, m.Request.Target)
		case m.Request != nil:
			fmt.Fprintf(&b, "; backend got part of %s %.60s", m.Request.Method, m.Request.Target)
		default:
			b.WriteString("; backend got part of a head")
		}
	}
	return b.String()
}

// aborted reports whether a message was broken off, rather than malformed.
func aborted(err error) bool {
	var bad *wire.SyntaxError
	return !errors.As(err, &bad)
}
