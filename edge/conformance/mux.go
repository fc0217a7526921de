package conformance

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http2"

	"semper/edge/conformance/h3"
	"semper/edge/conformance/wire"
)

// A mux is one connection of HTTP/2 or HTTP/3 to the proxy: requests are streams of it, whose heads are fields as given. Streams
// are named by odd numbers, as in HTTP/2.
type mux interface {
	open(stream uint32, end bool, fields ...string) error // a head, or the trailer of a stream that has had one
	data(stream uint32, end bool, data string) error
	leave(stream uint32) error    // the client wants no more of it
	answered(stream uint32) error // waits for its answer's head
	// over waits until nothing more will come by the stream, or within is over; true for the first.
	over(stream uint32, within time.Duration) bool
	asking() *run
}

func (h *h2Conn) asking() *run { return h.r }

func (h *h2Conn) leave(stream uint32) error {
	h.change(func() { h.stream(stream).opened = false })
	return h.write(func(f *http2.Framer) error { return f.WriteRSTStream(stream, http2.ErrCodeCancel) })
}

func (h *h2Conn) answered(stream uint32) error {
	h.wait(h.r.target.patience(), func() bool {
		_, reset := h.resets[stream]
		return reset || h.goAway != nil || h.stream(stream).Status != 0
	})
	return nil
}

func (h *h2Conn) over(stream uint32, within time.Duration) bool {
	return h.wait(within, func() bool {
		_, reset := h.resets[stream]
		return reset || h.goAway != nil || h.stream(stream).ended
	})
}

// h3Conn is one connection of HTTP/3.
type h3Conn struct {
	r    *run
	conn *h3.Conn
}

func (h h3Conn) asking() *run { return h.r }

func (h h3Conn) open(stream uint32, end bool, fields ...string) error {
	filled := make([]string, len(fields))
	for i, f := range fields {
		if filled[i] = f; i%2 == 1 {
			filled[i] = h.r.target.fill(f)
		}
	}
	return h.conn.Open(stream, end, filled...)
}

func (h h3Conn) data(stream uint32, end bool, data string) error {
	return h.conn.Data(stream, end, data)
}

func (h h3Conn) leave(stream uint32) error { return h.conn.Leave(stream) }

func (h h3Conn) answered(stream uint32) error {
	h.wait(func(all map[uint32]*h3.Stream) bool { s := all[stream]; return over(s) || s.Status != 0 })
	return nil
}

func (h h3Conn) over(stream uint32, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(h.r.ctx, within)
	defer cancel()
	return h.conn.Wait(ctx, func(all map[uint32]*h3.Stream) bool { return over(all[stream]) })
}

func (h h3Conn) wait(ok func(map[uint32]*h3.Stream) bool) {
	ctx, cancel := context.WithTimeout(h.r.ctx, h.r.target.patience())
	defer cancel()
	h.conn.Wait(ctx, ok)
}

// over reports whether nothing more will come by s.
func over(s *h3.Stream) bool { return s.Ended || s.Left || s.Reset != nil }

// sendH3 plays the client's part over HTTP/3.
func (r *run) sendH3() (Seen, error) {
	ctx, cancel := context.WithTimeout(r.ctx, 4*r.target.patience())
	defer cancel()
	conn, err := h3.Dial(ctx, r.target.H3, r.target.tlsConfig(r.target.Host))
	if err != nil {
		return Seen{}, err
	}
	h := h3Conn{r, conn}
	if r.c.Mux(h) == nil { // else the proxy listens no more: how it ended tells
		h.wait(func(all map[uint32]*h3.Stream) bool {
			for _, s := range all {
				if !over(s) {
					return false
				}
			}
			return true
		})
	}
	end, err := conn.End()
	if err != nil {
		return Seen{}, err
	}
	return seenOf(end), nil
}

// seenOf is what came of a connection of HTTP/3, whose error codes keep their numbers.
func seenOf(e h3.End) Seen {
	seen := Seen{h2: true, Resets: make(map[uint32]http2.ErrCode), Error: e.Lost}
	switch {
	case e.Garbage != nil:
		seen.Ended, seen.Error = Garbage, e.Garbage
	case e.Error != nil:
		seen.Ended = Closed
		if *e.Error != h3.NoError {
			code := http2.ErrCode(*e.Error) //nolint:gosec // it fits
			seen.GoAway = &code
		}
	case e.Lost != nil:
		seen.Ended = ResetByPeer
	}
	for _, id := range slices.Sorted(maps.Keys(e.Streams)) {
		s := e.Streams[id]
		seen.Interim = append(seen.Interim, s.Interim...)
		if s.Status != 0 {
			seen.Answers = append(seen.Answers, &s.Response)
		}
		if s.Reset != nil && !s.Left {
			seen.Resets[id] = http2.ErrCode(*s.Reset) //nolint:gosec // it fits
		}
		if !over(s) {
			seen.halfway++
		}
		short := s.Ended && len(s.Body) > 0 && wrongLength(&s.Response)
		if short || !over(s) && seen.Ended != Open && seen.Ended != Garbage {
			seen.Ended, seen.Error = Truncated, wire.ErrTruncated
		}
	}
	return seen
}

// wrongLength reports whether p has another length than it says (RFC 9113, 8.1.1; RFC 9114, 4.1.2): malformed, as a client can tell.
func wrongLength(p *wire.Response) bool {
	n, err := strconv.Atoi(p.Fields.Get("Content-Length"))
	return err == nil && n != len(p.Body)
}

// Over HTTP/3 these rows have no case. Each of the others has.
var notOverH3 = map[int]string{
	1:  "there is no Transfer-Encoding in HTTP/3: row 76",
	11: "as row 1", 12: "as row 1", 13: "as row 1", 14: "as row 1", 15: "as row 1", 18: "as row 1",
	16: "a name is a string of its own, not what stands before a colon: row 77", 38: "as row 16: row 77", 39: "as row 16: row 77", 40: "as row 16",
	17: "there are no lines to fold", 41: "as row 17", 42: "as row 17", 34: "as row 17: line feeds are row 77", 35: "as row 17: row 77", 36: "as row 17: row 77",
	20: "content is in frames, not chunks", 21: "as row 20", 22: "as row 20", 23: "as row 20", 24: "as row 20",
	27: "a request without a host is one of row 80's", 30: "there is one form of a target: row 80 has hosts that differ",
	43: "the version is the connection's", 44: "as row 43", 45: "there is no request line",
	51: "there is no Connection field in HTTP/3: row 76", 52: "as row 51", 53: "as row 51", 55: "as row 51", 56: "as row 51", 58: "as row 51",
	62: "each request has a stream of its own",
	72: "a head that never ends is one frame cut short, and has the idle deadline: package http3 tries it",
	75: "UDP has no PROXY header, and listeners that want one take no HTTP/3",
	82: "there is no CONTINUATION, and quic-go's QPACK has no dynamic table; a large head is row 49's", 83: "frames below the request are quic-go's to bound",
	84: "what is no QUIC is no connection",
}

// NotOverH3 is why a row has no case over HTTP/3; empty: it has one.
func (r Row) NotOverH3() string { return notOverH3[r.Number] }

// noEarlyData3 offers early data by QUIC.
func noEarlyData3(r *run) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.target.patience()+time.Second)
	defer cancel()
	taken, err := h3.Early(ctx, r.target.H3, r.target.tlsConfig(r.target.Host))
	if err == nil && taken {
		return errors.New("early data was taken: who sees it can play a request again")
	}
	return err
}
