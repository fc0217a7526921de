package witness

import "semper/edge/accesslog"

// A Lasting is a Request of which nothing is missing but its end, which may be hours away: that of a changed protocol.
// There may be very many, so it is small.
type Lasting struct {
	shard    *Shard
	told     told
	protocol accesslog.Protocol
	tls      bool
	line     *accesslog.Entry // nil: there is no log
}

// Last is q as it waits for its end; q itself is not used any more. It is for Requests of goroutines.
func (q *Request) Last() *Lasting {
	l := &Lasting{shard: q.shard, told: q.told, protocol: q.line.Protocol, tls: q.line.TLS}
	if q.logged {
		line := q.line
		l.line, q.text = &line, nil // which the line has now
	}
	q.shard.give(q)
	return l
}

// Request is what Last was called of, to be ended. It is called once.
func (l *Lasting) Request() *Request {
	q := l.shard.take()
	if l.line != nil {
		q.line = *l.line
	}
	q.told, q.line.Protocol, q.line.TLS = l.told, l.protocol, l.tls
	return q
}
