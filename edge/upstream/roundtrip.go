package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"semper/edge/http1"
)

// RoundTrip sends req and returns the response when its head is there, which may be before the request has been sent.
// It never sends anything twice, nor follows or adds anything; Expect is not forwarded. An error is an *Error.
//
// The body of req is read, and closed once it is not read any more, which may be after RoundTrip has returned. Where
// its reader has a method Buffered() int, that says how many bytes a Read would bring without waiting: they go with the
// head.
//
// The response's body has to be closed; unless it was read to its end that closes the connection, and so does the end of
// req's context. Content that was cut short ends with an error. After 101 the body is a net.Conn, over which
// whatever was asked for is spoken: a *Changed, or a stream of HTTP/2, where a WebSocket was asked for and the instance takes
// them so (RFC 8441). It is the caller's to close: the context has no say in it any more.
//
// Of an httptrace.ClientTrace GotConn, GotFirstResponseByte and Got1xxResponse are called; an error of the last ends
// the exchange.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) { return p.RoundTripWithin(req, 0) }

// RoundTripWithin is RoundTrip, and a connection has to be there within d; 0 is no bound but those of the context and Dial.
func (p *Pool) RoundTripWithin(req *http.Request, d time.Duration) (*http.Response, error) {
	if p.h2 != nil {
		spoken, err := p.h2.spoken(req.Context(), d)
		if err != nil {
			closeBody(req)
			return nil, &Error{Op: Connect, Err: err, unsent: true}
		}
		if spoken != H1 && wantsSocket(req) {
			if resp, err := p.h2.openSocket(req, d); err != errPlain { //nolint:errorlint // it is nobody else's
				return resp, err
			}
		}
		if spoken != H1 {
			return p.h2.roundTrip(req, d)
		}
	}
	return p.roundTrip(req, d)
}

func (p *Pool) roundTrip(req *http.Request, d time.Duration) (*http.Response, error) {
	ctx := req.Context()
	out := outgoings.Get().(*outgoing) //nolint:errcheck // nothing else is put there
	defer out.free()
	if err := out.compose(req); err != nil {
		closeBody(req)
		return nil, &Error{Op: Prepare, Err: err, unsent: true}
	}
	c, err := p.GetWithin(ctx, d)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c, Reused: c.reused, WasIdle: c.reused})
	}
	x := &exchange{pool: p, conn: c, req: req, asked: out.asked, trace: trace, watch: watchOver(ctx, c)}
	if err = x.send(out); err == nil {
		var resp *http.Response
		if resp, err = x.await(); err == nil {
			return resp, nil
		}
	}
	err = x.cause(err)
	x.finish(false)
	return nil, err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close() //nolint:errcheck // it was only read
	}
}

// An exchange is one request and its response. Its reader is whoever calls RoundTrip and then reads the response; its
// writer is an upload, where there is one.
type exchange struct {
	pool  *Pool
	conn  *Conn
	req   *http.Request
	asked http1.Asked
	trace *httptrace.ClientTrace
	watch *watch
	up    *upload // nil when everything was sent before the response was waited for
	fault error   // of sending what stands before an upload
}

// send sends the head, and what of the content is at hand; for the rest an upload begins. An error means that there is
// nothing to wait for. Where the connection takes no more there may still be a response: that is no error yet.
func (x *exchange) send(out *outgoing) error {
	first, up := out.head, (*upload)(nil)
	if out.framing.Kind != http1.NoBody {
		up = &upload{exchange: x, use: x.conn.Use(), chunked: out.framing.Kind == http1.Chunked, left: out.framing.Length}
		var err error
		if first, err = up.begin(first); err != nil {
			closeBody(x.req)
			return &Error{Op: Send, Err: err, unsent: true}
		}
		out.head = first
	}
	if _, x.fault = x.conn.Write(first); x.fault == nil && up != nil && up.state != sent && x.pool.enter() {
		x.up = up
		go up.run()
		return nil
	}
	closeBody(x.req)
	if x.fault != nil && !ended(x.fault) {
		return x.conn.fail(Send, x.fault)
	}
	return nil
}

// await reads heads until that of the response.
func (x *exchange) await() (*http.Response, error) {
	var r http1.Response
	var interim int
	first := x.trace == nil || x.trace.GotFirstResponseByte == nil
	for {
		if err := x.patientHead(&r); err != nil {
			return nil, err
		}
		if !first {
			first = true
			x.trace.GotFirstResponseByte()
		}
		if r.Status == http.StatusSwitchingProtocols && !x.watch.end() {
			return nil, x.conn.fail(Await, ErrKilled)
		}
		if !r.Informational() {
			return x.response(&r), nil
		}
		if interim++; interim > x.pool.o.MaxInterim {
			return nil, x.conn.fail(Await, errInterim)
		}
		if x.trace != nil && x.trace.Got1xxResponse != nil {
			if err := x.trace.Got1xxResponse(r.Status, textproto.MIMEHeader(headerOf(&r))); err != nil {
				return nil, x.conn.fail(Await, err)
			}
		}
	}
}

// patientHead reads one head. The time for it runs from the end of the request.
func (x *exchange) patientHead(r *http1.Response) error {
	r.Reset()
	wait := x.pool.o.HeadTimeout
	for {
		err := x.conn.readHead(r, x.asked, wait)
		var e *Error
		if err == nil || x.up == nil || !errors.As(err, &e) || !e.Timeout() {
			return err
		}
		when, over := x.up.ended()
		wait = x.pool.o.HeadTimeout
		if over {
			if wait -= time.Since(when); wait <= 0 {
				return err
			}
		}
	}
}

// cause is what lies behind err, an error of the reader's.
func (x *exchange) cause(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	fault := x.fault
	if x.up != nil {
		fault = x.up.failure()
	}
	switch ctx := x.req.Context(); {
	case ctx.Err() != nil:
		e.Err, e.stale = context.Cause(ctx), false
	case x.pool.over.Err() != nil:
		e.Err, e.stale = ErrClosed, false
	case fault != nil && (errors.Is(e, ErrKilled) || ended(e.Err) || errors.Is(e, io.ErrUnexpectedEOF)):
		e.Op, e.Err = Send, fault
	}
	return e
}

// finish ends the exchange for its reader, once. whole says that the response was read to its end.
func (x *exchange) finish(whole bool) {
	whole = x.watch.end() && whole
	if x.up == nil {
		x.conn.Release(whole && x.fault == nil)
		return
	}
	x.up.leave(whole)
}

// A watch closes a connection when a context ends.
type watch struct {
	stop func() bool
	done chan struct{} // closed when the connection has been
	once sync.Once
	calm bool
}

func watchOver(ctx context.Context, c *Conn) *watch {
	w := &watch{done: make(chan struct{})}
	use := c.Use()
	w.stop = context.AfterFunc(ctx, func() {
		c.Kill(use)
		close(w.done)
	})
	return w
}

// end ends the watch and reports whether the context has not. Nothing of it runs any more.
func (w *watch) end() bool {
	w.once.Do(func() {
		if w.calm = w.stop(); !w.calm {
			<-w.done
		}
	})
	return w.calm
}
