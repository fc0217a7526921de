package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"semper/edge/conformance/wire"
)

// h2Conn is one HTTP/2 connection to the proxy that can send any frame. Its goroutine reads what comes back; it
// acknowledges settings and opens the windows, unless it is told to be deaf.
type h2Conn struct {
	r    *run
	conn net.Conn
	fr   *http2.Framer // reads in the goroutine, writes under wmu
	enc  *hpack.Encoder
	buf  bytes.Buffer
	wmu  sync.Mutex
	out  *bufio.Writer // under wmu; flushed after each frame, but in a flood when it is full
	fast bool          // under wmu
	done chan struct{}

	mu      sync.Mutex // guards what follows
	streams map[uint32]*h2Stream
	resets  map[uint32]http2.ErrCode
	goAway  *http2.ErrCode
	fenced  bool // the PING of fence is answered
	ended   Ending
	err     error
	closing bool
	changed chan struct{}
}

type h2Stream struct {
	wire.Response
	interim []*wire.Response
	opened  bool // by us
	ended   bool
}

// openH2 opens a connection with these settings.
func (r *run) openH2(settings ...http2.Setting) (*h2Conn, error) {
	conn, err := dial(r.ctx, r.target, H2, r.target.TLS, r.target.Host, "h2")
	if err != nil {
		return nil, err
	}
	return r.speakH2(conn, settings...)
}

// speakH2 begins HTTP/2 over conn, which it owns from now on.
func (r *run) speakH2(conn net.Conn, settings ...http2.Setting) (*h2Conn, error) {
	h := &h2Conn{r: r, conn: conn, out: bufio.NewWriterSize(conn, 64<<10), done: make(chan struct{}),
		streams: make(map[uint32]*h2Stream), resets: make(map[uint32]http2.ErrCode), changed: make(chan struct{})}
	h.fr = http2.NewFramer(h.out, conn)
	h.enc = hpack.NewEncoder(&h.buf)
	h.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.fr.AllowIllegalWrites = true
	h.out.WriteString(http2.ClientPreface) //nolint:errcheck // the flush behind the settings tells
	if err := h.write(func(f *http2.Framer) error { return f.WriteSettings(settings...) }); err != nil {
		conn.Close()
		return nil, err
	}
	go h.read()
	return h, nil
}

// write sends what f writes. Whoever gets an error and then judges waits for the reader first ([h2Conn.awaitEnd]): what the
// proxy has said, and how the connection ended, it may be about to read.
func (h *h2Conn) write(f func(*http2.Framer) error) error {
	h.wmu.Lock()
	defer h.wmu.Unlock()
	h.conn.SetWriteDeadline(time.Now().Add(h.r.target.patience())) //nolint:errcheck // the write tells
	if err := f(h.fr); err != nil || h.fast {
		return err
	}
	return h.out.Flush()
}

// hurry makes frames go out in large writes, or ends that.
func (h *h2Conn) hurry(on bool) error {
	h.wmu.Lock()
	defer h.wmu.Unlock()
	h.fast = on
	return h.out.Flush()
}

// block encodes fields, given as name, value, name, value.
func (h *h2Conn) block(fields ...string) []byte {
	h.wmu.Lock()
	defer h.wmu.Unlock()
	h.buf.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: h.r.target.fill(fields[i+1])}) //nolint:errcheck // to memory
	}
	return bytes.Clone(h.buf.Bytes())
}

// asks are the fields of a good request, with more behind them.
func asks(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", "{host}", ":path", path, "x-case", "{case}"}, more...)
}

// get are the fields of a good GET, and post those of a good POST to /r, with more behind them.
func get(path string, more ...string) []string { return asks("GET", path, more...) }
func post(more ...string) []string             { return asks("POST", "/r", more...) }

// open sends a HEADERS frame.
func (h *h2Conn) open(stream uint32, end bool, fields ...string) error {
	block := h.block(fields...)
	h.change(func() { h.stream(stream).opened = true })
	return h.write(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: end, EndHeaders: true})
	})
}

func (h *h2Conn) data(stream uint32, end bool, data string) error {
	return h.write(func(f *http2.Framer) error { return f.WriteData(stream, end, []byte(data)) })
}

func (h *h2Conn) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

// stream is that of an id; h.mu is held.
func (h *h2Conn) stream(id uint32) *h2Stream {
	s := h.streams[id]
	if s == nil {
		s = new(h2Stream)
		h.streams[id] = s
	}
	return s
}

// wait returns when ok holds, under h.mu, or the connection has ended, or within is over; true for the first two.
func (h *h2Conn) wait(within time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(h.r.ctx, within)
	defer cancel()
	for {
		h.mu.Lock()
		fine, changed := h.ended != Open || ok(), h.changed
		h.mu.Unlock()
		if fine {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

var fencePing = [8]byte{'f', 'e', 'n', 'c', 'e'}

// fence waits until the proxy has taken in all that was sent, or ends the connection.
func (h *h2Conn) fence() {
	h.write(func(f *http2.Framer) error { return f.WritePing(false, fencePing) }) //nolint:errcheck // the reader sees the end
	h.wait(h.r.target.patience(), func() bool { return h.goAway != nil || h.fenced })
}

// allOver waits until every stream opened has ended or was reset, or the connection is given up.
func (h *h2Conn) allOver() bool {
	return h.wait(h.r.target.patience(), func() bool {
		if h.goAway != nil && *h.goAway != http2.ErrCodeNo {
			return true
		}
		for id, s := range h.streams {
			if _, reset := h.resets[id]; s.opened && !s.ended && !reset {
				return false
			}
		}
		return true
	})
}

// awaitEnd waits, after a write has failed, until the reader has come to the end of the connection as well.
func (h *h2Conn) awaitEnd() {
	h.wait(h.r.target.patience(), func() bool { return false })
}

func (h *h2Conn) read() {
	defer close(h.done)
	for {
		f, err := h.fr.ReadFrame()
		var se http2.StreamError
		if errors.As(err, &se) {
			h.change(func() { h.ended, h.err = Garbage, err })
			return
		}
		if err != nil {
			h.change(func() {
				switch {
				case h.closing:
				case errors.Is(err, io.EOF):
					h.ended = Closed
				default:
					h.ended = ResetByPeer
				}
				h.err = err
			})
			return
		}
		h.take(f)
	}
}

func (h *h2Conn) take(f http2.Frame) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			h.write((*http2.Framer).WriteSettingsAck) //nolint:errcheck // the reader sees the end
		}
	case *http2.MetaHeadersFrame:
		h.change(func() { h.headers(f) })
	case *http2.DataFrame:
		n := uint32(len(f.Data()))
		h.change(func() {
			s := h.stream(f.StreamID)
			s.Body = append(s.Body, f.Data()...)
			s.ended = s.ended || f.StreamEnded()
		})
		if n > 0 {
			h.write(func(w *http2.Framer) error { return w.WriteWindowUpdate(0, n) }) //nolint:errcheck // the same
		}
	case *http2.RSTStreamFrame:
		h.change(func() { h.resets[f.StreamID] = f.ErrCode })
	case *http2.PingFrame:
		if f.IsAck() && f.Data == fencePing {
			h.change(func() { h.fenced = true })
		}
	case *http2.GoAwayFrame:
		h.change(func() { h.goAway = &f.ErrCode })
	}
}

// headers takes a response's head, an interim one's, or a trailer.
func (h *h2Conn) headers(f *http2.MetaHeadersFrame) {
	s := h.stream(f.StreamID)
	p := wire.Response{Minor: 1}
	for _, v := range f.RegularFields() {
		p.Fields = append(p.Fields, wire.Field{Name: v.Name, Value: v.Value})
	}
	status := f.PseudoValue("status")
	if status == "" {
		s.Trailer = p.Fields
	} else if p.Status, _ = strconv.Atoi(status); p.Interim() { //nolint:errcheck // 0 is no status
		s.interim = append(s.interim, &p)
	} else {
		s.Response = p
	}
	s.ended = s.ended || f.StreamEnded()
}

// close ends the connection and returns what was seen.
func (h *h2Conn) close() Seen {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	h.conn.Close()
	<-h.done
	maps.DeleteFunc(h.resets, func(id uint32, code http2.ErrCode) bool {
		return code == http2.ErrCodeNo && h.streams[id] != nil && h.streams[id].ended // RFC 9113, 8.1: it needs no more of the request
	})
	seen := Seen{h2: true, Ended: h.ended, Error: h.err, Resets: h.resets, GoAway: h.goAway}
	if h.goAway != nil && *h.goAway == http2.ErrCodeNo {
		seen.GoAway = nil // a polite end is no error
	}
	for _, id := range slices.Sorted(maps.Keys(h.streams)) {
		s := h.streams[id]
		seen.Interim = append(seen.Interim, s.interim...)
		if s.Status != 0 {
			seen.Answers = append(seen.Answers, &s.Response)
		}
		if s.ended && len(s.Body) > 0 && wrongLength(&s.Response) {
			seen.Ended, seen.Error = Truncated, wire.ErrTruncated
		}
		if _, reset := h.resets[id]; s.opened && !s.ended && !reset {
			seen.halfway++
		}
		if s.opened && !s.ended && h.ended != Open && h.ended != Garbage {
			seen.Ended, seen.Error = Truncated, wire.ErrTruncated
		}
	}
	return seen
}

func (r *run) sendH2() (Seen, error) {
	h, err := r.openH2(r.c.Settings...)
	if err != nil {
		return Seen{}, err
	}
	return r.playH2(h), nil
}

// playH2 plays the case's part over h and closes it.
func (r *run) playH2(h *h2Conn) Seen {
	play := r.c.H2
	if play == nil {
		play = func(h *h2Conn) error { return r.c.Mux(h) }
	}
	if err := play(h); err != nil {
		h.awaitEnd()
	} else {
		h.allOver()
	}
	return h.close()
}
