package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"net/textproto"
	"net/url"
	"runtime/debug"

	"semper/edge/front"
	"semper/edge/http1"
)

// toldLocked lets go of a request that is passed: nobody finds it under way here any more. The connection's mutex is held.
func (c *conn) toldLocked(f *flow, action front.Action) front.Action {
	if action == front.Pass {
		c.flow = nil
		c.forgiveLocked(f)
	}
	return action
}

// handOver gives a request, of which no target has anything it would miss, to the handler.
func (f *flow) handOver() ending {
	h := f.x.Handover
	h.Body, h.Whole, h.Expects, h.Content = f.content, f.uploaded, f.expects, nil
	if kept := f.kept[f.headN:]; f.chunked {
		h.Content = http1.AppendContent(nil, kept)
	} else {
		h.Content = bytes.Clone(kept)
	}
	return f.c.inherit(f, h)
}

// inherit gives a request that has begun elsewhere to the handler.
func (c *conn) inherit(f *flow, h *front.Handover) ending {
	f.req.Reset()
	if n, err := f.req.Parse(h.Head, c.server.o.Limits); n == 0 || err != nil {
		c.server.o.Log.Error("a head is none when it is read again: report it", "error", err)
		h.Story.Lost()
		return drop
	}
	return c.pass(f, 0, h)
}

// pass gives the request whose head is n bytes of the input to the handler, in net/http's words. h is what was read of it
// before; nil: its head.
func (c *conn) pass(f *flow, n int, h *front.Handover) ending {
	r := &f.req
	ctx, cancel := context.WithCancelCause(c.context())
	defer cancel(nil)
	req, err := c.incoming(r)
	if err != nil { // Parse has let it through, and so it is none of the client's faults
		c.server.o.Log.Error("a target that net/url does not take", "target", req.RequestURI, "error", err)
		if h != nil {
			h.Story.Lost()
		}
		return c.refuse(http1.Refusal{Status: http.StatusBadRequest, Word: "bad-target", Text: "The target is not a path."})
	}
	req = req.WithContext(ctx)
	w := newWriter(c, req, r.Minor, r.KeepAlive)
	if alt := c.server.o.AltSvc; alt != "" {
		w.Header()["Alt-Svc"] = []string{alt}
	}
	b := &content{c: c, req: req, w: w}
	b.expects.Store(r.Expects())
	b.body.ResetRequest(r, c.server.o.Limits)
	none := b.body.Left() == 0
	b.whole = none
	c.in.skip(n)
	if h != nil {
		w.story = h.Story
		defer w.lose()
		b.goOn(h)
	}
	if !none {
		c.in.wide = true
		b.began = c.server.now()
		req.Body = b
	} else {
		c.in.rest()
	}
	w.body = b
	c.watch(cancel)
	calm := c.call(w, req)
	return c.passed(w, b, calm)
}

// watch has cancel called when the client goes away, or the server is closed; nil ends that.
func (c *conn) watch(cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if cancel != nil && c.marks.Load() != 0 { // whoever interrupted has found nobody to tell
		cancel(errClientGone)
	}
}

// call calls the handler. It reports whether that returned; a panic ends the request, as net/http has it.
func (c *conn) call(w *writer, req *http.Request) (calm bool) {
	defer func() {
		if calm {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the value itself is the sign
			c.server.o.Log.Error("a panic in a handler", "method", req.Method, "host", req.Host, "path", req.URL.Path,
				"panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.server.o.Handler.ServeHTTP(w, req)
	return true
}

// passed ends what the handler has begun.
func (c *conn) passed(w *writer, b *content, calm bool) ending {
	defer c.watch(nil)
	if w.req.MultipartForm != nil {
		w.req.MultipartForm.RemoveAll() //nolint:errcheck // temporary files
	}
	if w.hijacked {
		b.close()
		return hijacked
	}
	err := w.end(calm)
	if !calm && w.started && w.framing.Kind == http1.UntilClose { // there an orderly end would be that of the content
		c.reset()
	}
	w.free()
	c.userW.Store(false)
	c.armedW = 0
	if err != nil || c.marks.Load() != 0 {
		b.close()
		return drop
	}
	whole := b.drain(!w.closing)
	c.user.Store(0)
	c.in.wide = false
	if whole && !w.closing {
		return keep
	}
	return linger
}

// incoming is r as a handler gets it. Its path is the canonical one: what the handler decides by is what is forwarded. The
// request is not nil when there is an error.
func (c *conn) incoming(r *http1.Request) (*http.Request, error) {
	req := &http.Request{
		Method: string(r.MethodName()), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: int(r.Minor),
		Host: string(r.Host()), RemoteAddr: c.nc.RemoteAddr().String(), RequestURI: asSent(r.Head()),
		Body: http.NoBody, Header: make(http.Header, r.Fields()), Close: !r.KeepAlive,
	}
	if r.Minor == 0 {
		req.Proto = "HTTP/1.0"
	}
	if t, ok := c.nc.(*tls.Conn); ok {
		state := t.ConnectionState()
		req.TLS = &state
	}
	switch r.Framing.Kind {
	case http1.Chunked:
		req.ContentLength, req.TransferEncoding = -1, []string{"chunked"}
		req.Trailer = make(http.Header) // here, not when there is one: so copies of the request see it too
	case http1.Length:
		req.ContentLength = r.Framing.Length
	}
	for i := range r.Fields() {
		k, name, value := r.Field(i)
		switch k {
		case http1.Host, http1.TransferEncoding:
			continue
		case http1.Trailer:
			if r.Framing.Kind == http1.Chunked {
				announce(req, value)
			}
			continue
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		req.Header[key] = append(req.Header[key], string(value))
	}
	target := string(r.CanonicalPath(nil))
	if r.HasQuery {
		target += "?" + string(r.Query())
	}
	var err error
	if req.URL, err = url.ParseRequestURI(target); err != nil {
		req.URL = new(url.URL)
	}
	return req, err
}

// asSent is the target as it came.
func asSent(head []byte) string {
	_, after, _ := bytes.Cut(head, []byte(" "))
	target, _, _ := bytes.Cut(after, []byte(" "))
	return string(target)
}

// announce notes the trailer fields that will come, as far as there may be such.
func announce(req *http.Request, value []byte) {
	for name := range bytes.SplitSeq(value, []byte(",")) {
		key := textproto.CanonicalMIMEHeaderKey(string(bytes.Trim(name, " \t")))
		switch key {
		case "", "Transfer-Encoding", "Trailer", "Content-Length":
			continue
		}
		req.Trailer[key] = nil
	}
}
