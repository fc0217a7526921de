package trace

import (
	"strconv"
	"time"
)

// Timing is where the time of one request went.
type Timing struct {
	Total    time.Duration // from its head being read to its answer's head being sent
	Held     time.Duration // of it: waiting for its turn
	Upstream time.Duration // of it: at instances
}

// AppendServerTiming appends the value of a Server-Timing field: what the edge itself took, the wait and the instance in
// milliseconds, and c, by which browsers' tools find the trace:
//
//	edge;dur=0.041, app;dur=12.5, traceparent;desc="00-…-01"
//
// It tells outsiders about the inside: it belongs in answers to those who may ask for it.
func AppendServerTiming(b []byte, t Timing, c Context) []byte {
	b = appendMillis(append(b, "edge;dur="...), max(t.Total-t.Held-t.Upstream, 0))
	if t.Held > 0 {
		b = appendMillis(append(b, ", hold;dur="...), t.Held)
	}
	if t.Upstream > 0 {
		b = appendMillis(append(b, ", app;dur="...), t.Upstream)
	}
	if c != (Context{}) {
		b = append(b, `, traceparent;desc="`...)
		b = append(c.Append(b), '"')
	}
	return b
}

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d.Microseconds())/1e3, 'f', -1, 64)
}
