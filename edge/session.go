package edge

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"semper/edge/front"
	"semper/edge/hold"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/witness"
)

// A session is one connection of a driver as the edge sees it, with the request that is on its way there: what an
// exchange is for requests by way of net/http. It belongs to whoever owns the connection; what others look at is atomic.
type session struct {
	edge    *Edge
	ip      []byte // of the client
	trusted bool
	proto   string
	client  witness.Client
	shard   *witness.Shard
	looped  bool // a loop has the connection: what it does not carry leaves it

	request // of the request in hand
	// Memory that goes from request to request.
	host, path []byte
	decoded    []byte
	id         [32]byte
}

// request is what a session forgets when a request has ended.
type request struct {
	backend atomic.Pointer[backend] // claimed
	class   class
	pool    *pool
	entry   ledger.Entry
	begun   int64
	seen    *witness.Request

	method     http1.Method
	minor      uint8
	unsafe     bool
	idempotent bool
	given      []byte // the id that a trusted peer has given it
	length     int64  // of its content, as far as is known

	avoid  *backend
	tries  int
	ticket bool // let go by a line: goes before those who wait
	waiter *hold.Waiter
	where  *pool // in whose line the waiter stands
	let    atomic.Int32
	end    ledger.End // of a refusal
	cause  string     // of a refusal
}

// Open implements front.Edge.
func (e *Edge) Open(c front.Connection) front.Session {
	s := &session{edge: e, proto: "http", shard: e.witness.Shard(c.Loop), looped: c.Loop > 0}
	s.shard.Count(metrics.ConnAccepted)
	if c.TLS != nil {
		s.proto = "https"
	}
	if c.Peer.IsValid() {
		a := c.Peer.Addr().Unmap().WithZone("")
		s.ip = a.AppendTo(nil)
		s.trusted = e.trusts(a)
		s.client.Addr = a
	}
	s.client.TLS, s.client.Trusted = c.TLS != nil, s.trusted
	return s
}

func (e *Edge) trusts(a netip.Addr) bool {
	for _, p := range e.o.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// via is this edge's name in Via (RFC 9110, 7.6.3).
const via = "semper"

// Begin implements front.Session. What has no route is for net/http's way, which has pages for people.
func (s *session) Begin(x *front.Exchange) front.Action {
	r := x.Request
	if r.Unusual != 0 {
		return s.pass()
	}
	s.host = r.AppendHostName(s.host[:0])
	s.path = append(s.path[:0], http1.MatchPath(s.decoded[:0], r.Path())...)
	if s.edge.snapshot().match(text(s.host), text(s.path)) == nil {
		return s.pass()
	}
	s.begun, s.method, s.minor = x.Now, r.Method, r.Minor
	s.unsafe, s.idempotent = !r.Method.Safe(), r.Method.Idempotent()
	switch r.Framing.Kind {
	case http1.Length:
		s.length = r.Framing.Length
	case http1.Chunked:
		s.length = replayLimit
	}
	x.Keep = replayLimit
	s.seen = s.shard.Begin(x.Now, &s.client, r)
	x.Forward = http1.Forward{Trusted: s.trusted, ClientIP: s.ip, Proto: s.proto, RequestID: s.name(r), Via: via}
	s.seen.Forward(&x.Forward, r)
	return s.claim(x)
}

// name is the request's id.
func (s *session) name(r *http1.Request) []byte {
	if id := r.RequestID(s.trusted); len(id) > 0 {
		s.given = append([]byte(nil), id...)
		return s.given
	}
	if id := s.seen.ID(); id != nil {
		return id
	}
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	const hex = "0123456789abcdef"
	for i, c := range b {
		s.id[2*i], s.id[2*i+1] = hex[c>>4], hex[c&15]
	}
	return s.id[:]
}

// claim finds a backend and counts the request in flight to it: see exchange.claim.
func (s *session) claim(x *front.Exchange) front.Action {
	for {
		snap := s.edge.snapshot()
		p := snap.match(text(s.host), text(s.path))
		if p == nil {
			return s.refuse(x, &refuseRoute, ledger.EdgeErrors)
		}
		s.entry.Accept(p.slot)
		s.seen.Enter(p.place)
		if p.holds(s.unsafe) || !s.ticket && p.lane.behind(s.unsafe) {
			return s.wait(x, p)
		}
		b := p.pick(s.avoid)
		if b == nil {
			return s.wait(x, p)
		}
		b.claim()
		if s.edge.snapshot() == snap {
			s.ticket, s.pool = false, p
			s.backend.Store(b)
			s.seen.Try(x.Now, string(b.id))
			x.Target = b.target
			return front.Forward
		}
		b.drop(classRequest)
	}
}

// wait stands in the pool's line.
func (s *session) wait(x *front.Exchange, p *pool) front.Action {
	again := s.ticket
	if s.waiter == nil {
		now, waker, ticket := time.Now(), x.Waker, x.Ticket
		s.waiter = &hold.Waiter{
			Unsafe: s.unsafe, Bytes: s.length, Held: now.Add(p.age), Backend: now.Add(min(p.age, backendWait)),
			Let: func(v hold.Verdict) {
				s.let.Store(int32(v))
				waker.Wake(ticket)
			},
		}
	}
	s.let.Store(int32(hold.Wait))
	if !p.lane.join(s.waiter, p.bounds, again) {
		return s.refuse(x, &refuseHeld, ledger.Shed)
	}
	s.where = p
	s.entry.Hold()
	s.seen.Hold(x.Now)
	return front.Wait
}

// Woken implements front.Session.
func (s *session) Woken(x *front.Exchange) front.Action {
	s.where = nil
	v := hold.Verdict(s.let.Load())
	s.seen.Let(x.Now, v == hold.Go)
	switch v {
	case hold.Go:
		s.ticket = true
		return s.claim(x)
	case hold.Shed:
		return s.refuse(x, &refuseHeld, ledger.Shed)
	default:
		return s.refuse(x, &refuseBackend, ledger.EdgeErrors)
	}
}

// Failed implements front.Session: see exchange.failed.
func (s *session) Failed(x *front.Exchange, f front.Failure) front.Action {
	b := s.letGo()
	s.seen.Fail(x.Now, failures[f.Kind], x.Reused)
	if f.Kind == front.ConnectFailed && b != nil && nobodyThere(f.Err) {
		b.eject("it does not accept connections", f.Err)
	}
	s.tries++
	again := f.Replayable && s.tries < maxTries && b != nil
	if s.edge.log.Enabled(context.Background(), slog.LevelDebug) && b != nil {
		s.edge.log.Debug("request failed", "id", string(x.Forward.RequestID), "instance", b.id, "unsent", f.Unsent, "error", f.Err)
	}
	switch {
	case f.Kind == front.WasCut:
		return s.refuse(x, &refuseCut, ledger.Cut)
	case again && f.Unsent, again && f.Kind == front.Broken && s.idempotent && s.pool.lane.mayRetry(s.seen):
		s.entry.Retry()
		s.seen.Count(retryFor(f.Kind == front.ConnectFailed))
		s.avoid = b
		return s.claim(x)
	case f.Unsent:
		return s.refuse(x, &refuseConnect, ledger.EdgeErrors)
	case f.Kind == front.Malformed:
		return s.refuse(x, &refuseTransport, ledger.EdgeErrors)
	case f.Kind == front.TimedOut:
		return s.refuse(x, &refuseTimeout, ledger.EdgeErrors)
	}
	return s.refuse(x, &refuseBroken, ledger.EdgeErrors)
}

// refuse answers in the backend's stead.
func (s *session) refuse(x *front.Exchange, f *refusal, how ledger.End) front.Action {
	s.end, s.cause = how, f.word
	x.Refusal = http1.Refusal{
		Status: f.status, Word: f.word, Text: f.text, RequestID: x.Forward.RequestID, RetryAfter: f.retry,
		Close: f.close || s.edge.draining.Load(),
	}
	return front.Refuse
}

// Head implements front.Session.
func (s *session) Head(x *front.Exchange) {
	x.Answer = http1.Answer{
		Method: s.method, Minor: s.minor, Close: s.edge.draining.Load(),
		Date: x.Date, Release: s.pool.release, RequestID: x.Forward.RequestID,
	}
	x.Stream = x.Response.EventStream()
	s.seen.Head(x.Now, x.Stream, x.Reused)
	x.Answer.Extra = s.seen.AppendTiming(nil, x.Now)
	if !x.Stream {
		return
	}
	b := s.backend.Load()
	b.inFlight[classStream].Add(1)
	b.inFlight[classRequest].Add(-1)
	s.class = classStream
	if b.isCut(classStream) { // it comes too late
		s.edge.drivers.cut(func(o *session) bool { return o == s })
	}
}

// End implements front.Session.
func (s *session) End(x *front.Exchange, how front.Outcome) {
	switch {
	case how == front.Answered && x.Status >= 500:
		s.entry.End(ledger.AppErrors)
	case how == front.Answered:
		s.entry.End(ledger.Served)
	case how == front.Refused:
		s.entry.End(s.end)
	case how == front.ClientGone:
		s.entry.End(ledger.Gone)
	case how == front.CutOff:
		s.entry.End(ledger.Cut)
	default:
		s.entry.End(ledger.EdgeErrors)
	}
	if s.edge.log.Enabled(context.Background(), slog.LevelDebug) {
		s.edge.log.Debug("request", "id", string(x.Forward.RequestID), "host", string(s.host), "path", string(s.path), "status", x.Status,
			"tries", s.tries, "took", time.Duration(x.Now-s.begun))
	}
	s.seen.End(x.Now, s.story(x, how))
	s.letGo()
	s.forget()
}

// letGo gives back what the request holds: its claim, or its place in a line.
func (s *session) letGo() *backend {
	if s.where != nil {
		s.where.lane.leave(s.waiter)
		s.where = nil
	}
	b := s.backend.Swap(nil)
	if b != nil {
		b.drop(s.class)
		s.class = classRequest
	}
	return b
}

func (s *session) forget() {
	s.class, s.pool, s.entry, s.given, s.length = classRequest, nil, ledger.Entry{}, nil, 0
	s.avoid, s.tries, s.ticket, s.waiter = nil, 0, false, nil
	s.seen, s.cause = nil, ""
}

// Close implements front.Session.
func (s *session) Close() { s.shard.Count(metrics.ConnClosed) }

// in reports whether the request in hand is in flight to b, and of class c. It is asked by the session's owner.
func (s *session) in(b *backend, c class) bool { return s.backend.Load() == b && s.class == c }

// text is b as a string, for a look that does not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
