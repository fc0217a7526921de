package edge

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"
	"unsafe"

	"semper/edge/account"
	"semper/edge/config"
	"semper/edge/flight"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/metrics"
	"semper/edge/refusal"
	"semper/edge/witness"
)

// A session is one connection of a driver as the edge sees it. Between requests this is all there is of it. It belongs to
// whoever owns the connection.
type session struct {
	edge   *Edge
	ip     []byte // of the client
	client witness.Client
	shard  *witness.Shard
	tls    *tls.ConnectionState // nil on plaintext
	always string               // field lines of each answer
	looped bool                 // a loop has the connection: what it does not carry leaves it
	by     *config.Networks     // what client.Trusted goes by

	*request       // in hand; nil between requests, or while it is
	fold     *fold // for it waits; nil: it is not
}

// A request is what a session knows of the one in hand. It goes from request to request, with its memory.
type request struct {
	asking
	fields http1.Reader

	begun  int64
	method http1.Method
	minor  uint8
	id     []byte
	made   *rule       // by which the forwarded head was made; nil: it is not yet
	fits   bool        // it is one
	oldAt  *time.Timer // ends it when it is a stream that has been open for long enough; nil: it may stay

	// Memory.
	host, path, other []byte
	lines             []byte         // of what the backend gets
	extra             []byte         // of the answer
	head              []byte         // as it came, to ask again when the driver has it no more
	again             *http1.Request // of head; nil until it is read again
	given             [32]byte       // an id of our own
}

var requests = sync.Pool{New: func() any { return new(request) }}

// Open implements front.Edge.
func (e *Edge) Open(c front.Connection) front.Session {
	s := &session{edge: e, shard: e.witness.Shard(c.Loop), client: witness.Client{TLS: c.TLS != nil}, tls: c.TLS, looped: c.Loop > 0, always: c.Extra}
	s.shard.Count(metrics.ConnAccepted)
	if c.Peer.IsValid() {
		a := c.Peer.Addr().Unmap().WithZone("")
		s.ip = a.AppendTo(nil)
		s.client.Addr = a
		s.trust(e.snapshot())
	}
	return s
}

// trust finds out whether the client is trusted by s, where that is not known.
func (s *session) trust(by *snapshot) {
	if s.by != by.trusted {
		s.by = by.trusted
		s.client.Trusted = s.client.Addr.IsValid() && by.trusted.Has(s.client.Addr)
	}
}

const setCookie = "Set-Cookie"

// Begin implements front.Session. What has no rule is for net/http's way, which has pages for people.
func (s *session) Begin(x *front.Exchange) front.Action {
	r := x.Request
	if r.Unusual != 0 || s.tls == nil && s.edge.challenged(text(r.Path())) || s.tls != nil && !refusal.Belongs(s.tls, text(r.Host()), s.edge.o.TLS, s.edge.o.Belongs) {
		return s.pass()
	}
	by := s.edge.snapshot()
	s.trust(by)
	q, now := s.take(), x.Now
	q.begun = now
	q.head = append(q.head[:0], r.Head()...)
	s.ask(x, r)
	d := q.turnTo(by, now)
	if d == elsewhere || q.rule == nil {
		s.forget()
		return s.pass()
	}
	q.seen = s.shard.Begin(now, &s.client, r)
	q.enter()
	s.forward(x, r)
	if d == given {
		q.copied = q.target.pool.mirror.Driven(r, &x.Forward, q.rule.Policy.Shadow, x.Aside)
		d = s.begin(r, now)
	}
	return s.act(x, d)
}

// take has a request in hand of which nothing is known.
func (s *session) take() *request {
	s.request = requests.Get().(*request) //nolint:errcheck // nothing else is put there
	return s.request
}

// begin keeps what is too large from everything else.
func (s *session) begin(r *http1.Request, now int64) decision {
	q := s.request
	limits := &q.rule.Policy.Limits
	switch {
	case limits.Body > 0 && r.Framing.Kind == http1.Length && r.Framing.Length > limits.Body.Bytes():
		return q.asking.refuse(refusal.Large, ledger.Shed)
	case limits.Head > 0 && int64(len(r.Head())) > limits.Head.Bytes():
		return q.asking.refuse(refusal.Head, ledger.Shed)
	}
	return q.claim(now)
}

// ask makes r what is asked.
func (s *session) ask(x *front.Exchange, r *http1.Request) {
	q := s.request
	q.edge, q.driven, q.waker, q.turn = s.edge, q, x.Waker, x.Ticket
	q.method, q.minor = r.Method, r.Minor
	q.unsafe, q.idempotent = !r.Method.Safe(), r.Method.Idempotent()
	switch r.Framing.Kind {
	case http1.Length:
		q.length = r.Framing.Length
	case http1.Chunked:
		q.length = replayLimit
	}
	q.host = r.AppendHostName(q.host[:0])
	q.fields.Request = r
	u := &q.query
	u.Method, u.Host, u.Path, u.Query = r.MethodName(), q.host, r.Path(), r.Query()
	u.TLS, u.Client, u.Fields = s.client.TLS, s.client.Addr, &q.fields
	if s.client.Trusted {
		if a, ok := s.by.Client(r.Get(http1.XForwardedFor)); ok {
			u.Client = a
		}
	}
}

// reread makes what is asked good again: the driver has the head no more.
func (q *request) reread() {
	q.fields.Request = q.parse()
	q.query.Method, q.query.Path, q.query.Query = q.again.MethodName(), q.again.Path(), q.again.Query()
}

// forward says what the backend gets.
func (s *session) forward(x *front.Exchange, r *http1.Request) {
	q := s.request
	q.id = s.name(r)
	q.part()
	s.compose(x, r)
}

// compose says it in the words of the request's rule.
func (s *session) compose(x *front.Exchange, r *http1.Request) {
	q := s.request
	x.Keep, x.Bounds = replayLimit, &q.rule.Bounds
	proto := "http"
	if s.client.TLS {
		proto = "https"
	}
	q.lines = q.vary.AppendLines(q.lines[:0])
	x.Forward = http1.Forward{Extra: q.lines, Trusted: s.client.Trusted || q.rule.OfQueue(), ClientIP: s.ip, Proto: proto, RequestID: q.id, Via: message.Via, Edit: q.rule.Request}
	if host := q.rule.Policy.Rewrite.Host; host != "" {
		q.other = append(q.other[:0], host...)
		x.Forward.Host, x.Forward.ForwardedHost = q.other, r.Host()
	}
	q.made, q.fits = q.rule, true
	if q.rule.Rewrites() {
		q.path, q.fits = q.rule.AppendPath(q.path[:0], r.Path())
		x.Forward.Path = q.path
	}
	q.seen.Forward(&x.Forward, r)
}

// unlike reports whether the head was made already, and is not what r wants.
func (q *request) unlike(r *rule) bool {
	return q.made != nil && q.made.Policy.Rewrite != r.Policy.Rewrite
}

// name is the request's id.
func (s *session) name(r *http1.Request) []byte {
	if id := r.RequestID(s.client.Trusted || s.request.rule.OfQueue()); len(id) > 0 {
		return append([]byte(nil), id...)
	}
	if id := s.seen.ID(); id != nil {
		return id
	}
	return message.AppendID(s.request.given[:0])
}

// act has the driver do what was decided.
func (s *session) act(x *front.Exchange, d decision) front.Action {
	q := s.request
	if d == given && !q.fits {
		q.drop()
		d = q.asking.refuse(refusal.Target, ledger.EdgeErrors)
	}
	switch d {
	case given:
		q.copied.Send()
		x.Target = q.backend.target
		return front.Forward
	case waits:
		return front.Wait
	case elsewhere:
		return s.hand(x)
	}
	return s.refuse(x)
}

// Woken implements front.Session.
func (s *session) Woken(x *front.Exchange) front.Action {
	r := s.unfold(x)
	d := s.woken(x.Now)
	if r != nil && d == given {
		s.compose(x, r) // by the rule that it has now
	}
	return s.act(x, d)
}

// Failed implements front.Session.
func (s *session) Failed(x *front.Exchange, f front.Failure) front.Action {
	s.unfold(x)
	b := s.drop()
	if b == nil { // it waited
		s.wait.Quit()
		s.asking.refuse(refusal.Cut, ledger.Cut)
		return s.refuse(x)
	}
	return s.act(x, s.failed(failure{kind: f.Kind, unsent: f.Unsent, replayable: f.Replayable, reused: x.Reused, err: f.Err}, b, x.Now))
}

// refuse answers in the backend's stead.
func (s *session) refuse(x *front.Exchange) front.Action {
	q := s.request
	f := &q.refusal
	x.Refusal = http1.Refusal{
		Status: f.Status, Word: f.Word, Text: f.Text, RequestID: q.id, RetryAfter: f.Retry, Close: f.Close || s.edge.draining.Load(),
	}
	if r := q.rule; r != nil {
		x.Refusal.Edit = r.Response
		if page := r.Policy.Page(f.Status); page != nil {
			x.Refusal.Page, x.Refusal.Type = page.Body, page.Type
		}
	}
	return front.Refuse
}

// Head implements front.Session.
func (s *session) Head(x *front.Exchange) {
	q := s.request
	b, now := q.backend, x.Now
	q.answered(b, now, x.Status)
	x.Answer = http1.Answer{
		Method: q.method, Minor: q.minor, Close: s.edge.draining.Load(),
		Date: x.Date, Release: q.target.pool.release, RequestID: q.id, Edit: q.rule.Response,
	}
	x.Stream, x.Tee = x.Response.EventStream(), q.copied.Head(x.Response)
	q.seen.Head(now, x.Stream, x.Reused)
	q.extra = append(q.seen.AppendTiming(q.extra[:0], now), s.always...)
	q.extra = http1.AppendLine(q.extra, setCookie, func(to []byte) []byte { return q.arm.AppendCookie(to, s.client.TLS) })
	q.extra = http1.AppendLine(q.extra, setCookie, func(to []byte) []byte { return q.cookie(to, b, s.client.TLS) })
	x.Answer.Extra = q.extra
	if !x.Stream {
		return
	}
	b.classes.Turn(q.class, flight.Stream)
	q.class = flight.Stream
	if age := q.rule.Policy.MaxStreamAge; age > 0 {
		s.ages(q, config.Spread(age))
	}
	if b.isCut(flight.Stream) { // it comes too late
		s.edge.drivers.cut(func(o *session) bool { return o == s })
	}
}

// ages ends the stream in hand after a time.
func (s *session) ages(q *request, age time.Duration) {
	var end *time.Timer
	end = time.AfterFunc(time.Hour, func() {
		s.edge.drivers.cut(func(o *session) bool { return o == s && s.request != nil && s.request.oldAt == end })
	})
	q.oldAt = end
	end.Reset(age)
}

// End implements front.Session.
func (s *session) End(x *front.Exchange, how front.Outcome) {
	s.unfold(x)
	q := s.request
	end := account.End(x.Status, how, s.end)
	q.copied.End(how == front.Answered)
	if s.edge.log.Enabled(context.Background(), slog.LevelDebug) {
		s.edge.log.Debug("request", "id", string(q.id), "host", string(q.host), "status", x.Status,
			"tries", q.tries, "took", time.Duration(x.Now-q.begun))
	}
	q.arm.End(end, q.refusal.Word, q.seen.End(x.Now, account.Exchange(q.seen, x, how, s.end, q.refusal.Word)))
	q.entry.End(end) // last: whoever waits for it finds the rest counted
	q.leave()
	s.forget()
}

// keptHead bounds the memory for heads that goes from request to request.
const keptHead = 4 << 10

// forget ends the request in hand.
func (s *session) forget() {
	q := s.request
	s.request = nil
	if q.oldAt != nil {
		q.oldAt.Stop()
	}
	q.asking, q.id, q.made, q.oldAt = asking{}, nil, nil, nil
	q.fields.Request = nil
	if cap(q.head) > keptHead {
		q.head, q.again = nil, nil
	}
	requests.Put(q)
}

// Close implements front.Session.
func (s *session) Close() { s.shard.Count(metrics.ConnClosed) }

// in reports whether the request in hand is in flight to b, and of class c. It is asked by the session's owner.
func (s *session) in(b *backend, c flight.Class) bool {
	q := s.request
	return q != nil && q.backend == b && q.class == c
}

// text is b as a string, for a look that does not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
