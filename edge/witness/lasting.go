package witness

import "semper/edge/accesslog"

// A Lasting is a Request of which nothing is missing but its end, which may be hours away: that of a changed protocol.
// There may be very many, so it is small.
type Lasting struct {
	shard    *Shard
	told     told
	protocol accesslog.Protocol
	tls      bool
	log      *lastLine // nil: there is no log
}

// lastLine is what a line of the log wants besides.
type lastLine struct {
	line line
	text []byte
}

// Last is q as it waits for its end; q itself is not used any more. It is for Requests of goroutines.
func (q *Request) Last() *Lasting {
	l := &Lasting{shard: q.shard, told: q.told, protocol: q.protocol, tls: q.tls}
	if q.logged {
		l.log, q.text = &lastLine{q.line, q.text}, nil
	}
	q.shard.give(q)
	return l
}

// Request is what Last was called of, to be ended. It is called once.
func (l *Lasting) Request() *Request {
	q := l.shard.take()
	if l.log != nil {
		q.line, q.text = l.log.line, l.log.text
	}
	q.told, q.protocol, q.tls = l.told, l.protocol, l.tls
	return q
}
