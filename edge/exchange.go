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
	"strings"
	"time"

	"semper/edge/balance/admit"
	"semper/edge/compress"
	"semper/edge/dial"
	"semper/edge/front"
	"semper/edge/hedge/race"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/metrics"
	"semper/edge/refusal"
	"semper/edge/replay"
	"semper/edge/route"
	"semper/edge/upstream"
	"semper/edge/witness"
)

const (
	// backendWait is the longest a request waits for a backend where there is none; a pool whose holds
	// may be shorter sets less.
	backendWait = 10 * time.Second
	// replayLimit is how much of a request's body is kept to send it again.
	replayLimit = route.MostHedged
	// lingerFor is what is left to a client for the rest of a body nobody needs.
	lingerFor = 5 * time.Second
)

// ServeHTTP answers one request, by whatever snapshot is current when its head has been read.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.handlers.Add(1)
	defer e.leave()
	if r.TLS == nil && e.challenged(r.URL.Path) {
		e.challenges.ServeHTTP(w, r)
		return
	}
	e.serve(w, r)
}

// challenged reports whether an ACME authority may be asking.
func (e *Edge) challenged(path string) bool {
	return e.challenges != nil && strings.HasPrefix(path, "/.well-known/acme-challenge/")
}

// serve is ServeHTTP for those who want something of a rule.
func (e *Edge) serve(w http.ResponseWriter, r *http.Request) {
	// net/http drops a Transfer-Encoding of HTTP/1.0 unseen: what follows such a head may be a body.
	if r.ProtoMajor == 1 && (r.ProtoMinor == 0 || e.draining.Load()) {
		w.Header().Set("Connection", "close")
	}
	host, bad := refusal.Examine(r)
	if bad == nil && r.TLS != nil && !refusal.Belongs(r.TLS, r.Host, e.o.TLS, e.o.Belongs) {
		bad = &refusal.Misdirected
	}
	x := e.exchange(w, r, host)
	var d decision
	if bad == nil {
		if d = x.turnTo(e.snapshot(), x.began); x.rule == nil {
			bad = &refusal.Route
		}
	}
	if bad != nil {
		e.refuse(x, *bad)
		x.asking.leave()
		x.arm.End(ledger.EdgeErrors, bad.Word, x.seen.End(e.now(), witness.End{Status: bad.Status, Cause: bad.Word}))
		x.entry.End(ledger.EdgeErrors)
		return
	}
	x.enter()
	defer x.tell()
	defer x.asking.leave()
	x.run(x.prepare(d))
	x.endCoding()
	x.body.Finish()
	if e.log.Enabled(r.Context(), slog.LevelDebug) {
		e.log.Debug("request", "id", x.id, "method", r.Method, "host", r.Host, "path", r.URL.Path, "status", x.status,
			"release", x.release, "tries", x.tries, "took", time.Duration(e.now()-x.began))
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
func (e *Edge) refuse(x *exchange, f refusal.Refusal) {
	w, r := x.w, x.r
	if r.Body != nil && r.Body != http.NoBody {
		f.Close = true
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerFor)) //nolint:errcheck // best effort
	}
	id := cmp.Or(x.id, string(x.seen.ID()), message.NewID())
	x.seen.Name(id)
	f.Answer(w, r, id, nil)
}

// An exchange is one request on its way through the edge by net/http's way. It belongs to its handler's goroutine.
type exchange struct {
	asking
	w       http.ResponseWriter
	r       *http.Request
	coded   *compress.Writer // w, where answers may be compressed; else nil
	client  netip.AddrPort   // who asks, as far as the connection knows
	peer    string           // the same, as a field has it
	trusted bool
	upgrade string // the protocol it asks to change to
	expects bool   // its client waits for 100 Continue
	id      string
	body    *replay.Body
	made    *rule // by which its path was made; nil: it is as it came
	began   int64
	bell    chan struct{} // of Wake; buffered, 1

	status  int
	release string
	ended   witness.End // but for its status
	how     ledger.End
	headed  bool // the answer has begun
	broken  bool // the answer broke off after it had begun

	switched bool // a tunnel ends what x has begun

	hedged bool      // it has had its second try beside another
	laps   race.Race // of that

	early message.Early
}

// exchange is r as it is asked for.
func (e *Edge) exchange(w http.ResponseWriter, r *http.Request, host string) *exchange {
	x := &exchange{w: w, r: r, upgrade: message.UpgradeOf(r), began: e.now(), bell: make(chan struct{}, 1)}
	x.inherit(w)
	x.edge, x.waker, x.expects = e, x, r.Header["Expect"] != nil
	x.unsafe, x.idempotent = !message.Safe(r.Method), message.Idempotent(r.Method)
	if x.length = max(r.ContentLength, 0); r.ContentLength < 0 {
		x.length = replayLimit
	}
	x.client, _ = netip.ParseAddrPort(r.RemoteAddr) //nolint:errcheck // invalid says it
	q, trusted := &x.query, e.snapshot().trusted
	if x.client.IsValid() {
		a := x.client.Addr().Unmap().WithZone("")
		x.client = netip.AddrPortFrom(a, x.client.Port())
		x.peer, x.trusted, q.Client = a.String(), trusted.Has(a), a
	}
	if x.seen == nil {
		c := witness.Client{Addr: q.Client, TLS: r.TLS != nil, Trusted: x.trusted}
		x.seen = e.witness.Shard(0).BeginHTTP(x.began, &c, r)
	}
	q.Method, q.Host, q.Path, q.Query = []byte(r.Method), []byte(host), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery)
	q.TLS, q.Fields = r.TLS != nil, message.Fields(r.Header)
	if before := r.Header["X-Forwarded-For"]; x.trusted && len(before) > 0 {
		if a, ok := trusted.Client([]byte(strings.Join(before, ","))); ok {
			q.Client = a
		}
	}
	return x
}

// prepare makes the request what its rule wants a backend to get. d is what was decided about it.
func (x *exchange) prepare(d decision) decision {
	r, p := x.r, &x.rule.Policy
	x.encode(&p.Compress)
	x.id = message.Outbound(r, message.Forward{Peer: x.peer, Trusted: x.trusted || x.rule.OfQueue(), Via: message.Via, Upgrade: x.upgrade, ID: cmp.Or(x.id, string(x.seen.ID()))})
	x.seen.ForwardHTTP(r.Header, x.id)
	x.part()
	x.vary.Set(r.Header)
	b := &x.rule.Bounds
	x.body = replay.New(x.w, r, replay.Options{
		Keep: replayLimit, Idle: b.Upload, Rate: b.Rate, Limit: b.Content, Trailer: message.TrailerAllowed,
	})
	switch {
	case d == refused:
		return d
	case b.Content > 0 && r.ContentLength > b.Content:
		return x.asking.refuse(refusal.Large, ledger.Shed)
	case p.Limits.Head > 0 && message.Size(r) > p.Limits.Head.Bytes():
		return x.asking.refuse(refusal.Head, ledger.Shed)
	case d == given && x.rule.Forward != nil:
		if d = x.claim(x.edge.now()); d == elsewhere {
			return d
		}
	}
	message.Edit(r.Header, p.Headers.Request)
	return d
}

// fit makes path and answer what the rule wants, which a wait may have changed, and reports whether there is such a path.
func (x *exchange) fit() bool {
	message.Patience(x.w, x.rule.Bounds.Write)
	if x.coded == nil {
		x.encode(&x.rule.Policy.Compress)
	}
	was := x.made
	if x.made = x.rule; was == x.rule || !x.rule.Rewrites() && (was == nil || !was.Rewrites()) {
		return true
	}
	path, ok := x.query.Path, true
	if x.rule.Rewrites() {
		path, ok = x.rule.AppendPath(nil, path)
	}
	return ok && message.SetPath(x.r.URL, string(path))
}

// encode has the answer compressed, where the rule wants that.
func (x *exchange) encode(p *route.Compress) {
	if len(p.Algorithms) > 0 {
		x.coded = compress.New(x.w, x.r, compress.Policy{Codings: p.Algorithms, Types: p.Types, Minimum: p.Minimum.Bytes()})
		x.w = x.coded
	}
}

// endCoding ends what is compressed, as whole as it is.
func (x *exchange) endCoding() {
	switch {
	case x.coded == nil:
		return
	case x.broken:
		x.coded.Abandon()
	case x.coded.Close() != nil:
		x.broken = true
	}
	x.ended.Sent = x.coded.Sent()
}

// run does what is decided until the request has its answer.
func (x *exchange) run(d decision) {
	for done := false; !done; {
		if (d == given || d == elsewhere) && !x.fit() {
			x.drop()
			d = x.asking.refuse(refusal.Target, ledger.EdgeErrors)
		}
		switch d {
		case given:
			d, done = x.try()
		case waits:
			d = x.await()
		case refused:
			x.fail(x.refusal, x.end)
			return
		default:
			d, done = x.local()
		}
	}
}

// Wake implements front.Waker.
func (x *exchange) Wake(uint64) {
	select {
	case x.bell <- struct{}{}:
	default:
	}
}

// await stands in line until it is let go.
func (x *exchange) await() decision {
	if !x.expects { // or it would be told to send what is not wanted yet
		x.body.Fetch()
	}
	message.Queue(x.w, true)
	defer message.Queue(x.w, false)
	select {
	case <-x.bell:
		if x.r.Context().Err() == nil && x.body.Failure() == nil {
			return x.woken(x.edge.now())
		}
	case <-x.r.Context().Done():
	case <-x.edge.end.cut:
		x.wait.Quit()
		return x.asking.refuse(refusal.Cut, ledger.Cut)
	}
	x.wait.Quit()
	return x.clientFault()
}

// try gives the request to the backend that is claimed. done says that it has its answer.
func (x *exchange) try() (next decision, done bool) {
	if x.tries == 0 {
		x.shadow()
	}
	l := x.lap(x.backend)
	if x.hedges() {
		x.race(&l)
		defer x.laps.Wait()
	} else {
		l.Response, l.Err = l.Trip()
	}
	b, a, ctx, resp := l.backend, l.attempt, l.ctx, l.Response
	defer x.settle(a)
	x.early.Bar(true)
	reused := l.reused.Load()
	if l.Err != nil {
		f := x.failure(ctx, l.Err)
		f.reused = reused
		x.settle(a)
		if f.kind == front.ClientFault {
			x.seen.Fail(x.edge.now(), metrics.FailCanceled, reused)
			return x.clientFault(), false
		}
		return x.failed(f, b, x.edge.now()), false
	}
	now := x.edge.now()
	x.answered(b, now, resp.StatusCode)
	if !x.rule.Wants(resp.StatusCode) && x.mayRepeat(now) {
		resp.Body.Close() //nolint:errcheck // not wanted
		x.settle(a)
		x.tries++
		x.unwanted(resp.StatusCode)
		x.seen.Fail(now, metrics.FailReset, reused)
		x.seen.Count(metrics.RetryStatus)
		return x.again(b, now), false
	}
	x.seen.Head(now, resp.StatusCode == http.StatusSwitchingProtocols || message.EventStream(resp.Header), reused)
	x.release = string(x.target.pool.Release)
	if resp.StatusCode == http.StatusSwitchingProtocols || x.upgrade != "" && x.r.ProtoMajor > 1 && resp.StatusCode/100 == 2 { // where 200 would open
		x.switchProtocols(a, resp)
	} else {
		x.deliver(ctx, a, resp)
	}
	return refused, true
}

// settle gives back what an attempt holds, once.
func (x *exchange) settle(a *attempt) {
	if !a.over {
		a.over = true
		x.class = a.backend.end(a)
		x.drop()
	}
}

// unwanted notes an answer that the client does not get.
func (a *asking) unwanted(status int) {
	if status >= http.StatusInternalServerError {
		a.arm.Fail()
	}
}

// mayRepeat reports whether an answer that the rule does not want may be followed by another attempt.
func (x *exchange) mayRepeat(now int64) bool {
	a := admit.Attempt{Idempotent: x.idempotent, Sent: true, Answered: true, Unwanted: true, Replayable: x.body.Replayable()}
	return x.tries+1 < x.rule.Tries && !x.early.Any() && x.affords(a.Retry(), now)
}

// errLate: the rule's time for a response is over.
var errLate = errors.New("the backend did not answer in time")

// watch ends the attempt if no response comes in the rule's time, which begins at the end of the request.
func (x *exchange) watch(cancel context.CancelCauseFunc) (stop func()) {
	return x.body.After(x.rule.Bounds.Response, func() { cancel(errLate) })
}

// outgoing is the request as l's backend gets it.
func (x *exchange) outgoing(ctx context.Context, l *lap) *http.Request {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:        func(i httptrace.GotConnInfo) { l.reused.Store(i.Reused) },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error { return x.early.Pass(x.w, code, h) },
	})
	here, _ := x.r.Context().Value(http.LocalAddrContextKey).(net.Addr) //nolint:errcheck // nil will do
	call := dial.Call{Client: x.client}
	if t, ok := here.(interface{ AddrPort() netip.AddrPort }); ok {
		call.Here = t.AddrPort()
	}
	ctx = dial.With(ctx, call)
	out := message.Outgoing(x.r, x.rule.Policy.Rewrite.Host, l.backend.speech.tls != nil)
	if x.body != nil {
		out.Body = x.body.Read()
		out.Trailer = x.body.Trailer()
	}
	return out.WithContext(ctx)
}

// failure sorts an attempt that brought no response.
func (x *exchange) failure(ctx context.Context, err error) failure {
	f := failure{unsent: upstream.Unsent(err), replayable: x.body.Replayable() && !x.early.Any(), stale: upstream.StaleReuse(err), err: err}
	var e *upstream.Error
	var bad *http1.Error
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCut):
		f.kind = front.WasCut
	case errors.Is(cause, errLate):
		f.kind = front.TimedOut
	case x.r.Context().Err() != nil || x.body.Failure() != nil:
		f.kind = front.ClientFault
	case errors.As(err, &bad) && !upstream.Silent(err):
		f.kind = front.Malformed
	case errors.As(err, &e) && e.Op == upstream.Connect:
		f.kind = front.ConnectFailed
	default:
		f.kind = front.Broken
	}
	return f
}

// clientFault ends a request whose client went away, or sent a body that is none.
func (x *exchange) clientFault() decision {
	f := refusal.Body
	switch err := x.body.Failure(); {
	case errors.Is(err, replay.ErrTooSlow):
		f = refusal.SlowBody
	case errors.Is(err, replay.ErrTooLarge):
		f = refusal.Large
	}
	return x.asking.refuse(f, ledger.Gone)
}

// fail answers in the backend's stead.
func (x *exchange) fail(f refusal.Refusal, how ledger.End) {
	x.done(how)
	x.status, x.ended.Cause = f.Status, f.Word
	f.Close = f.Close || x.edge.draining.Load() || !x.body.Complete()
	var page *route.ErrorPage
	if x.rule != nil { // there may be none any more
		message.Edit(x.w.Header(), x.rule.Policy.Headers.Response)
		page = x.rule.Policy.Page(f.Status)
	}
	f.Answer(x.w, x.r, x.id, page)
}
