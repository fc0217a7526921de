// Package meter ends HTTP/2 connections whose frames are nothing but work.
//
// Package http2 bounds what waits in its queues, but not what it is asked to do: streams that are opened to be reset, by
// either side, settings, pings, windows opened by a byte. The meter stands between it and the connection and counts
// frames by their heads. What is in order is in proportion to what a connection carries; what goes beyond has a budget.
package meter

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// What an HTTP/2 connection may do at once, and for ever per second. A stream that is reset, by either side, costs work
// that nobody gets anything for; other frames without content cost less.
const (
	resetBurst, resetRate     = 500, 20
	controlBurst, controlRate = 2000, 200
	// perAnswer is how many such frames are in order for each DATA frame that the client gets: it opens windows for them,
	// and measures how fast they come.
	perAnswer = 4
	// perRequest is the same for each request.
	perRequest = 2
)

var errCalm = errors.New("the HTTP/2 client sends frames that are nothing but work")

// A metered connection counts the frames that go over it, and ends when too many of them are nothing but work.
type metered struct {
	net.Conn
	in       frames     // the reader's
	last     uint32     // the highest stream of the client
	mu       sync.Mutex // guards what follows; held during a write
	out      frames
	budgets  sync.Mutex // guards what follows
	resets   bucket
	controls bucket
}

// lastWrite is how long a client may take for being told.
const lastWrite = time.Second

// New meters c, a client's connection, whose first bytes are the preface. Reading from it fails when too much was asked,
// and the client has been told then (GOAWAY with ENHANCE_YOUR_CALM), if it takes that.
func New(c net.Conn) net.Conn {
	now := time.Now()
	m := &metered{
		Conn: c, in: frames{skip: len(http2.ClientPreface)},
		resets:   bucket{left: resetBurst, most: resetBurst, rate: resetRate, at: now},
		controls: bucket{left: controlBurst, most: controlBurst, rate: controlRate, at: now},
	}
	if t, ok := c.(*tls.Conn); ok {
		return &meteredTLS{m, t}
	}
	return m
}

// A meteredTLS shows package http2 that there is TLS.
type meteredTLS struct {
	*metered
	tls *tls.Conn
}

func (m *meteredTLS) ConnectionState() tls.ConnectionState { return m.tls.ConnectionState() }

// Read implements net.Conn.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	calm := true
	m.in.walk(p[:n], func(h frameHead) { calm = m.received(h) && calm })
	if !calm {
		m.goAway()
		return 0, errCalm
	}
	return n, err
}

// Write implements net.Conn.
func (m *metered) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.Conn.Write(p)
	m.out.walk(p[:n], m.sent)
	return n, err
}

// received reports whether the client may send such a frame now.
func (m *metered) received(h frameHead) bool {
	m.budgets.Lock()
	defer m.budgets.Unlock()
	now := time.Now()
	switch {
	case h.kind == http2.FrameRSTStream:
		return m.resets.take(now)
	case h.kind == http2.FrameHeaders && h.length > 0:
		m.last = max(m.last, h.stream)
		m.controls.give(perRequest)
		return m.resets.some(now) // what we reset ourselves is paid for here
	case h.kind == http2.FrameData && h.length > 0:
		return true
	}
	return m.controls.take(now)
}

// sent counts what the client is sent.
func (m *metered) sent(h frameHead) {
	m.budgets.Lock()
	defer m.budgets.Unlock()
	switch h.kind {
	case http2.FrameData:
		m.controls.give(perAnswer)
	case http2.FrameRSTStream:
		m.resets.take(time.Now())
	}
}

// goAway tells the client why it ends, if it takes that now.
func (m *metered) goAway() {
	if !m.mu.TryLock() {
		return
	}
	defer m.mu.Unlock()
	if !m.out.between() {
		return
	}
	m.Conn.SetWriteDeadline(time.Now().Add(lastWrite))                                  //nolint:errcheck // a closed connection says so in the write
	http2.NewFramer(m.Conn, nil).WriteGoAway(m.last, http2.ErrCodeEnhanceYourCalm, nil) //nolint:errcheck // it ends either way
}

// A bucket fills with rate per second up to most.
type bucket struct {
	left, most, rate float64
	at               time.Time
}

// some reports whether there is anything in it.
func (b *bucket) some(now time.Time) bool {
	b.left = min(b.left+b.rate*now.Sub(b.at).Seconds(), b.most)
	b.at = now
	return b.left >= 1
}

func (b *bucket) take(now time.Time) bool {
	some := b.some(now)
	if some {
		b.left--
	}
	return some
}

func (b *bucket) give(n float64) { b.left = min(b.left+n, b.most) }

// A frameHead is what stands before a frame's payload (RFC 9113, 4.1).
type frameHead struct {
	length int
	kind   http2.FrameType
	stream uint32
}

// frames finds the frames in a stream of bytes.
type frames struct {
	skip int // bytes to come that are no head
	head [9]byte
	have int // of head
}

// between reports whether the stream stands between two frames.
func (f *frames) between() bool { return f.skip == 0 && f.have == 0 }

func (f *frames) walk(p []byte, each func(frameHead)) {
	for len(p) > 0 {
		if n := min(f.skip, len(p)); n > 0 {
			f.skip -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have == len(f.head) {
			h := frameHead{
				length: int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]),
				kind:   http2.FrameType(f.head[3]), stream: binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31),
			}
			f.skip, f.have = h.length, 0
			each(h)
		}
	}
}
