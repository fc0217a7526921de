package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"semper/edge/http1"
)

// response makes net/http's response of a head. Where no content follows, the exchange is over.
func (x *exchange) response(r *http1.Response) *http.Response {
	resp := &http.Response{
		Status: strconv.Itoa(r.Status) + " " + string(r.Reason()), StatusCode: r.Status,
		Proto: "HTTP/1." + strconv.Itoa(int(r.Minor)), ProtoMajor: 1, ProtoMinor: int(r.Minor),
		Header: headerOf(r), ContentLength: lengthOf(r, x.asked.Method), Close: !r.KeepAlive, Request: x.req, TLS: x.conn.TLS(),
	}
	switch {
	case r.Status == http.StatusSwitchingProtocols:
		resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{string(r.Get(http1.Upgrade))}
		resp.Body, resp.Close = x.conn.change(), false
	case x.conn.in.stage == atEnd:
		resp.Body = http.NoBody
		x.finish(true)
	default:
		if r.Framing.Kind == http1.Chunked {
			resp.TransferEncoding = []string{"chunked"}
			resp.Trailer = announced(r)
		}
		resp.Body = &content{exchange: x, resp: resp, use: x.conn.Use()}
	}
	return resp
}

// lengthOf is net/http's notion of a response's length: negative for unknown.
func lengthOf(r *http1.Response, asked http1.Method) int64 {
	switch {
	case r.Framing.Kind == http1.Length:
		return r.Framing.Length
	case r.Framing.Kind != http1.NoBody || asked == http1.HEAD:
		return r.Declared
	}
	return 0
}

// headerOf are the fields of r that may go further.
func headerOf(r *http1.Response) http.Header {
	n := r.Fields()
	h, values := make(http.Header, n), make([]string, n)
	for i := range n {
		if !r.Forwards(i) {
			continue
		}
		_, name, value := r.Field(i)
		k := textproto.CanonicalMIMEHeaderKey(string(name))
		values[i] = string(value)
		if h[k] == nil {
			h[k] = values[i : i+1 : i+1] // most fields occur once: one array for all of them
		} else {
			h[k] = append(h[k], values[i])
		}
	}
	return h
}

// announced are the trailer fields that r says will come; nil for none.
func announced(r *http1.Response) http.Header {
	var t http.Header
	for i := range r.Fields() {
		k, _, value := r.Field(i)
		if k != http1.Trailer {
			continue
		}
		for name := range strings.SplitSeq(string(value), ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t"))
			if _, ok := http1.AppendField(nil, name, ""); !ok {
				continue
			}
			if t == nil {
				t = http.Header{}
			}
			t[name] = nil
		}
	}
	return t
}

// A content is a response's body. It may be closed during a Read, which then ends.
type content struct {
	exchange *exchange
	resp     *http.Response
	use      uint64
	whole    atomic.Bool // read to its end

	mu    sync.Mutex // guards what follows, and the reader's side of the exchange
	piece []byte     // taken, and not yet read
	last  bool       // nothing follows it
	err   error      // for good
}

// Read reads what has come, and waits where nothing has.
func (b *content) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if len(b.piece) == 0 && !b.last {
		if n, b.last, err = b.exchange.conn.readInto(p); n == 0 && err == nil && !b.last {
			b.piece, b.last, err = b.exchange.conn.Next()
		}
	}
	for err == nil {
		m := copy(p[n:], b.piece)
		n, b.piece = n+m, b.piece[m:]
		if len(b.piece) > 0 || n == len(p) && !b.last {
			return n, nil
		}
		if b.last {
			b.endLocked()
			return n, b.err
		}
		if b.piece, b.last, err = b.exchange.conn.Ready(); err == nil && len(b.piece) == 0 && !b.last {
			return n, nil
		}
	}
	b.err = b.exchange.cause(err)
	b.exchange.finish(false)
	return n, b.err
}

// endLocked is at the end of the content.
func (b *content) endLocked() {
	for name, value := range b.exchange.conn.Body().Trailers() {
		if b.resp.Trailer == nil {
			b.resp.Trailer = http.Header{}
		}
		b.resp.Trailer.Add(string(name), string(value))
	}
	b.err = io.EOF
	b.whole.Store(true)
	b.exchange.finish(true)
}

// Close ends the exchange. Before the end of the content that closes the connection.
func (b *content) Close() error {
	if !b.whole.Load() { // else the connection may still be in the use of an upload's last write
		b.exchange.conn.Kill(b.use)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errors.New("read after the response's body was closed")
		b.exchange.finish(false)
	}
	return nil
}
