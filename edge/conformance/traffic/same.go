package traffic

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"semper/edge/conformance/wire"
)

// free are the fields that every proxy sets as it likes: those of one hop, and those that say who it is and who asked.
// Case and order of the others are free as well; the order of one field's lines is not.
var free = []string{
	"connection", "content-length", "transfer-encoding", "trailer", "te", "keep-alive", "upgrade", "expect", "date", "server", "via", "user-agent",
	"forwarded", "x-real-ip", "x-request-id", "traceparent", "tracestate", "alt-svc", "x-exchange",
}

// fields are those that must be the same, sorted by name.
func fields(f wire.Fields) []string {
	lines := make(map[string][]string)
	for _, l := range f {
		name := strings.ToLower(l.Name)
		if !slices.Contains(free, name) && !strings.HasPrefix(name, "x-forwarded-") && !strings.HasPrefix(name, "x-semper-") {
			lines[name] = append(lines[name], l.Value)
		}
	}
	var all []string
	for name, values := range lines {
		all = append(all, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(all)
	return all
}

// compare says what differs between two views of an exchange; empty: nothing.
func compare(e Exchange, a, b *View) string {
	switch e.Abort {
	case ClientCloses, ClientResets:
		if len(a.Requests) > 0 || len(b.Requests) > 0 {
			return fmt.Sprintf("of a request cut short, %d and %d whole ones reached the backend", len(a.Requests), len(b.Requests))
		}
		return ""
	case BackendCloses, BackendResets:
		if !a.failed() || !b.failed() {
			return fmt.Sprintf("an answer cut short is taken for whole: failed %v and %v", a.failed(), b.failed())
		}
		return differ("the request", requestText(a.Requests), requestText(b.Requests))
	case Whole:
	}
	if a.Err != nil || b.Err != nil {
		return fmt.Sprintf("the client got: %v; and: %v", a.Err, b.Err)
	}
	if len(a.Requests) != 1 || len(b.Requests) != 1 {
		return fmt.Sprintf("the backend got %d requests, and %d", len(a.Requests), len(b.Requests))
	}
	if d := differ("the request", requestText(a.Requests), requestText(b.Requests)); d != "" {
		return d
	}
	if d := differ("the interim answers", interimText(a.Interim), interimText(b.Interim)); d != "" {
		return d
	}
	return differ("the answer", answerText(a.Answer), answerText(b.Answer))
}

func differ(what string, a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	from := max(at-100, 0)
	return fmt.Sprintf("%s differs:\n...%q\n...%q", what, a[from:min(at+200, len(a))], b[from:min(at+200, len(b))])
}

// requestText is what must be the same of the first of some requests; the others are repetitions.
func requestText(all []*wire.Request) []byte {
	if len(all) == 0 {
		return nil
	}
	q := all[0]
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s host %s\n%s\ntrailer %s\n%d bytes ", q.Method, q.Target, q.Fields.Get("Host"), strings.Join(fields(q.Fields), "\n"), fields(q.Trailer), len(q.Body))
	b.Write(q.Body)
	return b.Bytes()
}

func answerText(p *wire.Response) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n%s\ntrailer %s\n%d bytes ", p.Status, strings.Join(fields(p.Fields), "\n"), fields(p.Trailer), len(p.Body))
	b.Write(p.Body)
	return b.Bytes()
}

// interimText leaves 100 out: when to say Continue is up to each hop.
func interimText(all []*wire.Response) []byte {
	var b bytes.Buffer
	for _, p := range all {
		if p.Status != 100 {
			fmt.Fprintf(&b, "%d %s\n", p.Status, fields(p.Fields))
		}
	}
	return b.Bytes()
}
