package witness

import (
	"net/http"

	"semper/edge/accesslog"
	"semper/edge/metrics"
	"semper/edge/trace"
)

// BeginHTTP is Begin for a request as net/http has it.
func (s *Shard) BeginHTTP(now int64, c *Client, r *http.Request) *Request {
	q := s.begin(now, c)
	q.protocol = protocolOf(r)
	q.timing = s.witness.timing || c.Trusted && len(r.Header[timingField]) > 0
	in := incoming.Get().(*trace.Incoming) //nolint:errcheck,forcetypeassert // nothing else is put there
	for _, v := range r.Header["Traceparent"] {
		q.text = append(q.text[:0], v...)
		in.Traceparent(q.text)
	}
	for _, v := range r.Header["Tracestate"] {
		q.text = append(q.text[:0], v...)
		in.Tracestate(q.text)
	}
	q.decide(in)
	q.text = append(q.text[:0], r.Method...)
	q.method = metrics.MethodOf(q.text)
	if q.logged = s.logs(); q.logged {
		q.keepHTTP(r)
	}
	return q
}

func protocolOf(r *http.Request) accesslog.Protocol {
	switch {
	case r.ProtoMajor == 3:
		return accesslog.HTTP3
	case r.ProtoMajor == 2:
		return accesslog.HTTP2
	case r.ProtoMinor == 0:
		return accesslog.HTTP10
	}
	return accesslog.HTTP11
}

// keepHTTP is keep behind the method.
func (q *Request) keepHTTP(r *http.Request) {
	t := q.text
	q.mark(0, len(t))
	if r.RequestURI != "" {
		t = append(t, r.RequestURI...)
	} else {
		t = append(t, r.URL.RequestURI()...)
	}
	q.mark(1, len(t))
	t = append(t, r.Host...)
	q.mark(2, len(t))
	t = append(t, r.Referer()...)
	q.mark(3, len(t))
	t = append(t, r.UserAgent()...)
	q.mark(4, len(t))
	q.text = t
}

// Name notes the request's id.
func (q *Request) Name(id string) { q.id = []byte(id) }

// ForwardHTTP is Forward for a header as net/http has it: what the instance gets.
func (q *Request) ForwardHTTP(h http.Header, id string) {
	q.Name(id)
	switch q.verdict {
	case trace.Start:
		h["Traceparent"] = []string{string(q.parent[:])}
		delete(h, "Tracestate")
	case trace.KeepParent:
		delete(h, "Tracestate")
	}
}

// TimingHTTP is AppendTiming for an answer as net/http has it.
func (q *Request) TimingHTTP(h http.Header, now int64) {
	if q.timing {
		h.Add(timingName, string(q.appendTiming(nil, now)))
	}
}
