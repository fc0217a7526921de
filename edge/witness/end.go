package witness

import (
	"net/http"
	"time"

	"semper/edge/accesslog"
	"semper/edge/metrics"
	"semper/edge/trace"
)

// An End is how a request ended.
type End struct {
	Status         int             // of the answer; 0 where none was begun
	Received, Sent int64           // bytes of content, from and to the client
	Failure        metrics.Failure // of the attempt under way
	Cause          string          // in one word, why the edge answered itself or broke off; empty if it did neither
}

// End says that the request is over, and how long it took as metrics have it. It is the last call.
func (q *Request) End(now int64, e End) time.Duration {
	q.settle(now, metrics.Attempt{Status: e.Status, Failure: e.Failure})
	if q.counters == nil {
		q.Enter(q.shard.witness.nowhere)
	}
	took := time.Duration(now - q.began)
	sampled := q.context.Flags&trace.Sampled != 0
	o := metrics.Outcome{
		Method: q.method, Protocol: metrics.Protocol(q.protocol), TLS: q.tls, Status: e.Status, Took: took,
		RequestBody: e.Received, ResponseBody: e.Sent,
		Trace: q.context.Trace, Span: q.context.Parent, Sampled: sampled, Ended: now + q.offset,
	}
	if q.stream && q.headed != 0 {
		o.Took = time.Duration(q.headed - q.began)
	}
	q.counters.Done(&o)
	if q.logged && !q.unlogged {
		q.write(took, &e)
	}
	q.shard.give(q)
	return o.Took
}

func (q *Request) write(took time.Duration, e *End) {
	ring, lines := q.shard.ring.Load(), q.shard.lines.Load()
	if ring == nil && lines == nil {
		return
	}
	t, at := q.text, q.ends
	l := accesslog.Entry{
		Began: q.began + q.offset, Took: took, Upstream: q.upstream, Held: q.held,
		Client: q.client, Method: t[:at[0]], Target: t[at[0]:at[1]], Host: t[at[1]:at[2]], Referer: t[at[2]:at[3]], UserAgent: t[at[3]:at[4]],
		Protocol: q.protocol, TLS: q.tls, ID: q.id, Instance: q.instance,
		Status: e.Status, RequestBytes: e.Received, ResponseBytes: e.Sent, Tries: q.tries, Hedge: q.hedge, Cause: e.Cause,
		Trace: q.context.Trace, Span: q.context.Parent, TraceSampled: q.context.Flags&trace.Sampled != 0,
	}
	if q.place != q.shard.witness.nowhere {
		l.Place = q.place.line
	}
	if ring != nil {
		ring.Write(&l)
		return
	}
	lines.Write(&l)
}

// Refused takes an answer to what was no request: nothing is known of it but whom it came from.
func (s *Shard) Refused(now int64, c *Client, status int, cause string) {
	q := s.begin(now, c)
	q.logged, q.protocol = true, accesslog.HTTP11
	if status == http.StatusRequestTimeout {
		s.Count(metrics.TimeoutHeader)
	}
	q.End(now, End{Status: status, Cause: cause})
}

// AppendTiming appends a line with Server-Timing, where the request asked for it and may.
func (q *Request) AppendTiming(b []byte, now int64) []byte {
	if !q.timing {
		return b
	}
	b = append(b, timingName...)
	b = append(b, ": "...)
	return append(q.appendTiming(b, now), "\r\n"...)
}

const timingName = "Server-Timing"

func (q *Request) appendTiming(b []byte, now int64) []byte {
	t := trace.Timing{Total: time.Duration(now - q.began), Held: q.held, Upstream: q.upstream}
	if q.tried != 0 {
		t.Upstream += time.Duration(now - q.tried)
	}
	return trace.AppendServerTiming(b, t, q.context)
}
