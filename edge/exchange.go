package edge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"net/url"
	"sync"
	"time"

	"semper/edge/hold"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/replay"
	"semper/edge/upstream"
	"semper/edge/witness"
)

const (
	// maxTries bounds how often one request is given to a backend that turns out not to take it.
	maxTries = 8
	// backendWait is the longest a request waits for a backend where there is none; a pool whose holds
	// may be shorter sets less.
	backendWait = 10 * time.Second
	// maxEarly bounds the informational answers to one request that are passed on.
	maxEarly = 32
	// replayLimit is how much of a request's body is kept to send it again.
	replayLimit = 64 << 10
	// bodyIdle is how long a client may send nothing in the middle of a body.
	bodyIdle = time.Minute
	// lingerFor is what is left to a client for the rest of a body nobody needs.
	lingerFor = 5 * time.Second
)

// ServeHTTP answers one request, by whatever snapshot is current when its head has been read.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.handlers.Add(1)
	defer e.leave()
	// net/http drops a Transfer-Encoding of HTTP/1.0 unseen: what follows such a head may be a body.
	if r.ProtoMajor == 1 && (r.ProtoMinor == 0 || e.draining.Load()) {
		w.Header().Set("Connection", "close")
	}
	seen, began := e.see(r)
	host, path, bad := examine(r)
	if bad == nil && e.snapshot().match(host, path) == nil {
		bad = &refuseRoute
	}
	if bad != nil {
		e.refuse(w, r, *bad, seen)
		seen.End(since(began), witness.End{Status: bad.status, Cause: bad.word})
		return
	}
	x := exchange{seen: seen, edge: e, w: w, r: r, host: host, path: path, unsafe: !message.Safe(r.Method), upgrade: message.UpgradeOf(r), begun: began}
	defer x.tell()
	peer, trusted := e.peer(r)
	x.id = message.Outbound(r, message.Forward{Peer: peer, Trusted: trusted, Via: via, Upgrade: x.upgrade, ID: string(seen.ID())})
	seen.ForwardHTTP(r.Header, x.id)
	x.body = replay.New(w, r, replay.Options{Keep: replayLimit, Idle: bodyIdle, Trailer: message.TrailerAllowed})
	x.run()
	x.body.Finish()
	if e.log.Enabled(r.Context(), slog.LevelDebug) {
		e.log.Debug("request", "id", x.id, "method", r.Method, "host", r.Host, "path", r.URL.Path, "status", x.status,
			"release", x.release, "tries", x.tries, "took", time.Since(x.begun))
	}
	if x.broken {
		panic(http.ErrAbortHandler) // net/http's way to break off an answer, so that no client takes it for whole
	}
}

func (e *Edge) leave() {
	e.handlers.Add(-1)
	e.sayIdle()
}

// refuse answers a request that reaches no backend, and leaves its body alone.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, f refusal, seen *witness.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		f.close = true
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerFor)) //nolint:errcheck // best effort
	}
	id := cmp.Or(string(seen.ID()), message.NewID())
	seen.Name(id)
	f.answer(w, r, id)
}

// An exchange is one request on its way through the edge. It belongs to its handler's goroutine.
type exchange struct {
	edge       *Edge
	w          http.ResponseWriter
	r          *http.Request
	host, path string
	unsafe     bool
	upgrade    string // the protocol it asks to change to
	id         string
	body       *replay.Body
	begun      time.Time

	entry   ledger.Entry
	seen    *witness.Request
	ended   witness.End // but for its status
	how     ledger.End
	waiter  *hold.Waiter
	verdict chan hold.Verdict // the waiter's; holds one
	ticket  bool              // let go by a line: goes before those who wait
	avoid   *backend
	tries   int

	status  int
	release string
	headed  bool // the answer has begun
	broken  bool // the answer broke off after it had begun

	early struct {
		sync.Mutex
		over bool // no more of them: the final answer is on its way
		n    int
	}
}

// run gives the request to backends until it has an answer.
func (x *exchange) run() {
	for {
		p, b := x.claim()
		if b == nil {
			return
		}
		if x.try(p, b) {
			return
		}
	}
}

// claim finds a backend and counts the request in flight to it, by a snapshot that is current while it
// does. nil: the request has its answer already.
//
// The order is what makes a cutover, a drain and a hold exact: the count goes up first, and then the
// pointer is read again. Either the swap comes after that, and whoever swapped sees the count; or the
// pointer has changed, and the request begins anew by the new snapshot.
func (x *exchange) claim() (*pool, *backend) {
	for {
		s := x.edge.snapshot()
		p := s.match(x.host, x.path)
		if p == nil {
			x.fail(refuseRoute, ledger.EdgeErrors)
			return nil, nil
		}
		x.entry.Accept(p.slot)
		x.seen.Enter(p.place)
		if p.holds(x.unsafe) || !x.ticket && p.lane.behind(x.unsafe) {
			if !x.wait(p) {
				return nil, nil
			}
			continue
		}
		b := p.pick(x.avoid)
		if b == nil {
			if !x.wait(p) {
				return nil, nil
			}
			continue
		}
		b.claim()
		if x.edge.snapshot() == s {
			x.ticket = false
			return p, b
		}
		b.drop(classRequest)
	}
}

// wait stands in the pool's line until it is let go. It reports false when the request has its answer.
func (x *exchange) wait(p *pool) bool {
	now := time.Now()
	again := x.ticket
	if x.waiter == nil {
		x.verdict = make(chan hold.Verdict, 1)
		x.waiter = &hold.Waiter{
			Unsafe: x.unsafe, Bytes: x.bytes(), Let: x.let,
			Held: now.Add(p.age), Backend: now.Add(min(p.age, backendWait)),
		}
	}
	if !p.lane.join(x.waiter, p.bounds, again) {
		x.fail(refuseHeld, ledger.Shed)
		return false
	}
	x.entry.Hold()
	x.seen.Hold(x.now())
	x.body.Fetch()
	v := hold.Wait
	select {
	case v = <-x.verdict:
	case <-x.r.Context().Done():
	case <-x.edge.end.cut:
	}
	if v == hold.Wait && !p.lane.leave(x.waiter) {
		v = <-x.verdict
	}
	x.seen.Let(x.now(), v == hold.Go)
	switch {
	case x.r.Context().Err() != nil || x.body.Failure() != nil:
		x.clientFault()
	case v == hold.Go:
		x.ticket = true
		return true
	case v == hold.Shed:
		x.fail(refuseHeld, ledger.Shed)
	case v == hold.NoBackend:
		x.fail(refuseBackend, ledger.EdgeErrors)
	default:
		x.fail(refuseCut, ledger.Cut)
	}
	return false
}

func (x *exchange) let(v hold.Verdict) { x.verdict <- v }

// bytes is what the request's body counts for in a line.
func (x *exchange) bytes() int64 {
	switch {
	case x.body == nil:
		return 0
	case x.r.ContentLength > 0:
		return x.r.ContentLength
	}
	return replayLimit
}

// try gives the request to b. It reports whether the request has its answer.
func (x *exchange) try(p *pool, b *backend) bool {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	a := &attempt{backend: b, cancel: cancel}
	b.begin(a)
	defer b.end(a)
	x.tries++
	x.seen.Try(x.now(), string(b.id))
	reused := false
	resp, err := b.pool.RoundTrip(x.outgoing(ctx, &reused))
	x.early.Lock()
	x.early.over = true
	x.early.Unlock()
	if err != nil {
		x.seen.Fail(x.now(), x.failureOf(ctx, err), reused)
		return x.failed(ctx, p, a, err)
	}
	x.seen.Head(x.now(), resp.StatusCode == http.StatusSwitchingProtocols || isStream(resp.Header), reused)
	x.release = string(p.Release)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.switchProtocols(a, resp)
		return true
	}
	x.deliver(ctx, a, resp)
	return true
}

// outgoing is the request as b gets it.
func (x *exchange) outgoing(ctx context.Context, reused *bool) *http.Request {
	x.early.Lock()
	x.early.over = false
	x.early.Unlock()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:        func(i httptrace.GotConnInfo) { *reused = i.Reused },
		Got1xxResponse: x.pass1xx,
	})
	u := *x.r.URL
	u.Scheme, u.Host, u.User, u.Opaque, u.Fragment = "http", "backend", (*url.Userinfo)(nil), "", ""
	out := &http.Request{
		Method: x.r.Method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.r.Header, Host: x.r.Host, ContentLength: x.r.ContentLength,
	}
	if out.Host == "" {
		out.Host = "localhost"
	}
	if x.body != nil {
		out.Body = x.body.Read()
		out.Trailer = x.body.Trailer()
	}
	return out.WithContext(ctx)
}

// pass1xx passes an informational answer on. It may run in another goroutine than the handler's.
func (x *exchange) pass1xx(code int, h textproto.MIMEHeader) error {
	x.early.Lock()
	defer x.early.Unlock()
	if x.early.over || code == http.StatusContinue {
		return nil
	}
	if x.early.n++; x.early.n > maxEarly {
		return errors.New("too many informational responses")
	}
	from := http.Header(h)
	message.RemoveHopByHop(from)
	to := x.w.Header()
	before := to.Clone()
	for k, v := range from {
		to[k] = v
	}
	x.w.WriteHeader(code)
	clear(to)
	for k, v := range before {
		to[k] = v
	}
	return nil
}

// failed decides about an attempt that brought no answer. It reports whether the request has one now.
func (x *exchange) failed(ctx context.Context, p *pool, a *attempt, err error) bool {
	unsent := upstream.Unsent(err)
	var bad *http1.Error
	malformed := errors.As(err, &bad)
	switch {
	case errors.Is(context.Cause(ctx), errCut):
		x.fail(refuseCut, ledger.Cut)
	case x.r.Context().Err() != nil || x.body.Failure() != nil:
		x.clientFault()
	case x.body.Replayable() && unsent && x.tries < maxTries,
		x.body.Replayable() && !unsent && !malformed && x.tries < maxTries && message.Idempotent(x.r.Method) && p.lane.mayRetry(x.seen):
		x.entry.Retry()
		x.seen.Count(retryFor(connectFailed(err)))
		x.avoid = a.backend
		return false
	case unsent:
		x.fail(refuseConnect, ledger.EdgeErrors)
	case malformed:
		x.fail(refuseTransport, ledger.EdgeErrors)
	default:
		x.fail(refuseBroken, ledger.EdgeErrors)
	}
	if x.edge.log.Enabled(ctx, slog.LevelDebug) {
		x.edge.log.Debug("request failed", "id", x.id, "instance", a.backend.id, "unsent", unsent, "error", err)
	}
	return true
}

// clientFault ends a request whose client went away, or sent a body that is none.
func (x *exchange) clientFault() {
	f := refuseBody
	if errors.Is(x.body.Failure(), replay.ErrTooSlow) {
		f = refuseSlowBody
	}
	x.fail(f, ledger.Gone)
}

// fail answers in the backend's stead.
func (x *exchange) fail(f refusal, how ledger.End) {
	x.end(how)
	x.status, x.ended.Cause = f.status, f.word
	f.close = f.close || x.edge.draining.Load() || !x.body.Complete()
	f.answer(x.w, x.r, x.id)
}

// peer is the address at the other end of the connection, and whether it is to be believed.
func (e *Edge) peer(r *http.Request) (ip string, trusted bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "", false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host, false
	}
	return host, e.trusts(a.Unmap().WithZone(""))
}
