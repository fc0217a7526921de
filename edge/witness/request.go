package witness

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/accesslog"
	"semper/edge/http1"
	"semper/edge/metrics"
	"semper/edge/trace"
)

// A Client is where a request comes from.
type Client struct {
	Addr    netip.Addr // the zero Addr for a Unix socket
	TLS     bool
	Trusted bool // may ask for Server-Timing
}

// A Shard is what one loop tells a witness by, or some goroutines.
type Shard struct {
	witness *Witness
	number  int
	edge    *metrics.Shard
	lines   atomic.Pointer[accesslog.Shared] // of goroutines; nil: there is no log

	// A loop's own.
	owned  bool
	ring   atomic.Pointer[accesslog.Ring] // nil: there is no log
	kept   *accesslog.Ring                // what ring is when there is one; guarded by Witness.logging
	free   []*Request
	offset int64 // of the wall clock from the loop's
	again  int64 // by the loop's clock: when offset is to be found anew
}

// Count counts an event that is of no request.
func (s *Shard) Count(e metrics.EdgeEvent) { s.edge.Count(e) }

// Paused counts that a listener takes no connections for a moment, because of err, or, where that is nil, of its bound.
func (w *Witness) Paused(err error) {
	if err == nil {
		w.Shard(0).Count(metrics.PausedFull)
		return
	}
	w.Shard(0).Count(metrics.PausedShort)
}

// freeKept bounds how many Requests a loop keeps: more than that are on their way at a time only where most of them wait.
const freeKept = 4096

// pool are the free Requests of goroutines.
var pool = sync.Pool{New: func() any { return new(Request) }}

func (s *Shard) take() *Request {
	if !s.owned {
		q := pool.Get().(*Request) //nolint:errcheck,forcetypeassert // nothing else is put there
		q.shard = s
		return q
	}
	if n := len(s.free); n > 0 {
		q := s.free[n-1]
		s.free = s.free[:n-1]
		return q
	}
	return &Request{shard: s}
}

func (s *Shard) give(q *Request) {
	if q.text = q.text[:0]; cap(q.text) > textKept {
		q.text = nil
	}
	q.told = told{}
	q.line = line{}
	if !s.owned {
		q.shard = nil
		pool.Put(q)
		return
	}
	if len(s.free) < freeKept {
		s.free = append(s.free, q)
	}
}

// wall is what is to be added to now for the time of day. A loop's clock and the time of day are compared once a second:
// that is how often somebody may have set the clock.
func (s *Shard) wall(now int64) int64 {
	if !s.owned {
		return time.Now().UnixNano() - now
	}
	if now >= s.again {
		s.offset, s.again = time.Now().UnixNano()-now, now+int64(time.Second)
	}
	return s.offset
}

// textKept bounds the memory for strings that a free Request keeps.
const textKept = 4 << 10

// A Request is one request as it is seen, from Begin to End. It belongs to whoever carries the request. Times are
// nanoseconds of any clock that does not jump, the same one for all calls. There may be very many, most of which wait: what is
// needed only at the beginning or at the end is not here.
type Request struct {
	shard  *Shard
	text   []byte // of the line: the strings whose buffers are used again before the end
	parent [trace.Size]byte

	line
	told
}

// line is what a line of the log says beside what is told.
type line struct {
	client   netip.Addr
	id       []byte
	instance string
	ends     [5]uint32 // in text, of the method, the target, the host, the referrer and the agent: each begins where the one before ends
	protocol accesslog.Protocol
	tls      bool
}

// mark notes where the next string of text ends.
func (l *line) mark(i, end int) { l.ends[i] = uint32(end) } //nolint:gosec // a head is not as long

// told is what a Request forgets.
type told struct {
	counters *metrics.Counters // nil before Enter
	place    *Place
	method   metrics.Method
	began    int64
	offset   int64 // of the wall clock
	tried    int64 // when the attempt began that is under way; 0: none is
	reused   bool  // it goes over a connection that had carried another
	holding  int64 // since when the request waits; 0: it does not
	headed   int64 // when the head of the answer was there; 0: not yet
	stream   bool
	timing   bool
	logged   bool // it has what a line wants: there was a log when it began
	unlogged bool
	verdict  trace.Verdict
	context  trace.Context
	tries    int
	beside   string // the instance of a second attempt at the same time
	besideAt int64  // when that began; 0: there is none
	hedge    accesslog.Hedge
	upstream time.Duration
	held     time.Duration
}

// Shard is the number of the loop that carries the request, or of the shard that its goroutine shares: from 0.
func (q *Request) Shard() int { return q.shard.number }

// Unlogged keeps the request out of the access log.
func (q *Request) Unlogged() { q.unlogged = true }

// methodOf has the metrics' name for http1's methods.
var methodOf = [...]metrics.Method{
	http1.OtherMethod: metrics.MethodOther, http1.GET: metrics.MethodGet, http1.HEAD: metrics.MethodHead, http1.POST: metrics.MethodPost,
	http1.PUT: metrics.MethodPut, http1.PATCH: metrics.MethodPatch, http1.DELETE: metrics.MethodDelete,
	http1.OPTIONS: metrics.MethodOptions, http1.TRACE: metrics.MethodTrace,
}

// timingField asks for Server-Timing.
const timingField = "X-Semper-Timing"

// Begin takes a request whose head has just been read. It keeps nothing of h.
func (s *Shard) Begin(now int64, c *Client, h *http1.Request) *Request {
	q := s.begin(now, c)
	q.method = methodOf[h.Method]
	q.protocol = accesslog.HTTP11
	if h.Minor == 0 {
		q.protocol = accesslog.HTTP10
	}
	q.timing = s.witness.timing || c.Trusted && has(h, timingField)
	q.trace(h)
	if q.logged = s.logs(); q.logged {
		q.keep(h)
	}
	return q
}

// logs reports whether there is a log.
func (s *Shard) logs() bool { return s.ring.Load() != nil || s.lines.Load() != nil }

func (s *Shard) begin(now int64, c *Client) *Request {
	q := s.take()
	q.began, q.offset = now, s.wall(now)
	q.client, q.tls = c.Addr, c.TLS
	return q
}

func has(h *http1.Request, name string) bool {
	_, ok := h.Lookup(name)
	return ok
}

// keep copies what the line says of the head.
func (q *Request) keep(h *http1.Request) {
	t := append(q.text[:0], h.MethodName()...)
	q.mark(0, len(t))
	t = append(t, h.Path()...)
	if h.HasQuery {
		t = append(append(t, '?'), h.Query()...)
	}
	q.mark(1, len(t))
	t = append(t, h.Host()...)
	q.mark(2, len(t))
	t = append(t, h.Get(http1.Referer)...)
	q.mark(3, len(t))
	t = append(t, h.Get(http1.UserAgent)...)
	q.mark(4, len(t))
	q.text = t
}

// Fold gives up what can be read again in the head of a request that waits, and is there for Unfold. id is what the request is
// called from now on.
func (q *Request) Fold(id []byte) { q.id, q.text = id, nil }

// Unfold is for a request that waits no more, or whose end is to be told. h is its head.
func (q *Request) Unfold(h *http1.Request) {
	if q.logged {
		q.keep(h)
	}
}

// trace decides about the request's trace context.
func (q *Request) trace(h *http1.Request) {
	if !h.Has(http1.TraceParent) {
		q.start()
		return
	}
	in := incoming.Get().(*trace.Incoming) //nolint:errcheck,forcetypeassert // nothing else is put there
	for i := range h.Fields() {
		switch k, _, value := h.Field(i); k {
		case http1.TraceParent:
			in.Traceparent(value)
		case http1.TraceState:
			in.Tracestate(value)
		}
	}
	q.decide(in)
}

// incoming are what the field lines of one request after the other are read with.
var incoming = sync.Pool{New: func() any { return new(trace.Incoming) }}

// decide decides by the fields that in has read, and gives it back.
func (q *Request) decide(in *trace.Incoming) {
	defer func() { in.Reset(); incoming.Put(in) }()
	if q.context, q.verdict = in.Decide(trace.Sampler{}); q.verdict == trace.Start {
		q.start()
		return
	}
	q.shard.edge.Count(metrics.TraceKept)
}

func (q *Request) start() {
	q.verdict = trace.Start
	q.shard.witness.starter.Start(&q.context, &q.parent)
	q.shard.edge.Count(metrics.TraceStarted)
}

// ID is what a request can be called whose trace was started here: the trace's id in hex, so that log, trace and answer
// have one name for it. It is nil where the trace is the client's, who may use one for many requests. It is good until End.
func (q *Request) ID() []byte {
	if q.verdict != trace.Start {
		return nil
	}
	const version = len("00-")
	return q.parent[version : version+2*len(trace.ID{})]
}

// Forward says what the instance gets of the trace context, and notes the request's id. What it sets is good as long as h,
// and until End.
func (q *Request) Forward(f *http1.Forward, h *http1.Request) {
	q.id = f.RequestID
	switch q.verdict {
	case trace.Start:
		f.TraceParent = q.parent[:]
	case trace.KeepParent:
		f.TraceParent = h.Get(http1.TraceParent)
	}
}

// Share is the request as goroutines carry it on, for whoever gets it from a loop; q is over. It is called where q belongs, and
// what it makes belongs to whoever is given it.
func (q *Request) Share() *Request {
	from := q.shard
	if !from.owned {
		return q
	}
	to := from.witness.Shard(0)
	n := to.take()
	n.text, q.text = q.text, n.text[:0] // the line's strings stand there
	n.parent, n.line, n.told = q.parent, q.line, q.told
	n.id = bytes.Clone(q.id)
	if p := n.place; p != nil {
		n.counters = p.series.Shard(to.number)
		n.counters.Begin()
		q.counters.Leave()
	}
	from.give(q)
	return n
}

// Enter says where the request is going now; nil: to no release, for the edge answers it as a rule says.
func (q *Request) Enter(p *Place) {
	if p == nil {
		p = q.shard.witness.nowhere
	}
	c := p.series.Shard(q.shard.number)
	if c == q.counters {
		q.place = p
		return
	}
	if q.counters != nil {
		q.counters.Leave()
	}
	q.counters, q.place = c, p
	c.Begin()
}

// Hold says that the request begins to wait.
func (q *Request) Hold(now int64) { q.holding = now }

// Let says that the request has waited; it goes on if on says so.
func (q *Request) Let(now int64, on bool) {
	if q.holding == 0 {
		return
	}
	d := time.Duration(now - q.holding)
	q.held += d
	q.holding = 0
	if on && q.counters != nil {
		q.counters.Held(d)
	}
}

// Try says that the request is given to an instance.
func (q *Request) Try(now int64, instance string) {
	q.tried, q.reused = max(now, 1), false
	q.tries++
	q.instance = instance
}

// Fail says that the attempt brought no answer. reused says that its connection had carried another request before.
func (q *Request) Fail(now int64, f metrics.Failure, reused bool) {
	q.reused = reused
	q.settle(now, metrics.Attempt{Failure: f})
	q.instance = ""
}

// Hedge says that the request is given to a second instance while the first has it too.
func (q *Request) Hedge(now int64, instance string) {
	q.besideAt, q.beside, q.hedge = max(now, 1), instance, accesslog.HedgeLost
	q.tries++
	q.Count(metrics.Hedged)
}

// Drop says that one of two attempts came to nothing; second, that it was the one of Hedge. The other goes on.
func (q *Request) Drop(now int64, second bool, f metrics.Failure, reused bool) {
	a := metrics.Attempt{Method: q.method, Failure: f, Took: time.Duration(now - q.tried), Reused: reused}
	if second {
		a.Took = time.Duration(now - q.besideAt)
	} else {
		q.upstream += time.Duration(q.besideAt - q.tried) // from then on it is the other's
		q.tried, q.reused, q.instance = q.besideAt, false, q.beside
	}
	q.besideAt, q.beside = 0, ""
	if q.counters != nil {
		q.counters.Try(&a)
	}
}

// Won says that the answer is that of the second instance.
func (q *Request) Won() {
	q.hedge = accesslog.HedgeWon
	q.Count(metrics.HedgeWon)
}

// settle counts the attempt that is under way, if one is.
func (q *Request) settle(now int64, a metrics.Attempt) {
	if q.tried == 0 {
		return
	}
	took := time.Duration(now - q.tried)
	q.upstream += took
	if q.stream && q.headed != 0 {
		took = time.Duration(q.headed - q.tried)
	}
	q.tried = 0
	a.Method, a.Took, a.Reused = q.method, took, q.reused
	if q.counters != nil {
		q.counters.Try(&a)
	}
}

// Count counts an event of the place where the request is.
func (q *Request) Count(e metrics.Event) {
	if q.counters != nil {
		q.counters.Count(e)
	}
}

// Head says that the head of the answer is there. stream says that its end is not to be waited for, and reused that the
// connection it came by had carried another request before.
func (q *Request) Head(now int64, stream, reused bool) {
	q.headed, q.stream, q.reused = now, stream, reused
}
