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
	q.line.Protocol = protocolOf(r)
	q.timing = s.witness.timing || c.Trusted && len(r.Header[timingField]) > 0
	q.fields.Reset()
	for _, v := range r.Header["Traceparent"] {
		q.text = append(q.text[:0], v...)
		q.fields.Traceparent(q.text)
	}
	for _, v := range r.Header["Tracestate"] {
		q.text = append(q.text[:0], v...)
		q.fields.Tracestate(q.text)
	}
	q.decide()
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
	method := len(t)
	if r.RequestURI != "" {
		t = append(t, r.RequestURI...)
	} else {
		t = append(t, r.URL.RequestURI()...)
	}
	target := len(t)
	t = append(t, r.Host...)
	host := len(t)
	t = append(t, r.Referer()...)
	referer := len(t)
	t = append(t, r.UserAgent()...)
	q.text = t
	l := &q.line
	l.Method, l.Target, l.Host, l.Referer, l.UserAgent = t[:method], t[method:target], t[target:host], t[host:referer], t[referer:]
}

// Name notes the request's id.
func (q *Request) Name(id string) { q.line.ID = []byte(id) }

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
