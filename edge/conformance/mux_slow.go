package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"semper/edge/conformance/h3"
)

// dribble asks with content of a length that it never reaches: a byte, a pause, and so on, until the stream is over.
func dribble(h mux) error {
	r := h.asking()
	every := r.target.Deadlines.Body / 4
	until := time.Now().Add(r.target.late(r.target.Deadlines.Body))
	err := h.open(1, false, post("content-length", "100000")...)
	for due := time.Now().Add(every); err == nil && time.Now().Before(until) && !h.over(1, every); due = time.Now().Add(every) {
		r.late(due)
		err = h.data(1, false, "a")
	}
	return err
}

// steadily asks with text as content, in 20 pieces.
func steadily(text string) func(mux) error {
	return func(h mux) error {
		r := h.asking()
		every, piece := r.target.Deadlines.Body/4, len(text)/20
		err := h.open(1, false, post("content-length", strconv.Itoa(len(text)))...)
		for left := text; err == nil && left != ""; {
			due := time.Now().Add(every)
			if h.over(1, every) {
				return nil // what it was answered tells
			}
			r.late(due)
			n := min(piece, len(left))
			err = h.data(1, n == len(left), left[:n])
			left = left[n:]
		}
		return err
	}
}

// socketOpened opens a WebSocket (RFC 8441, RFC 9220), sends frames, and is silent until the stream is over.
func socketOpened(frames string) func(mux) error {
	return func(h mux) error {
		err := h.open(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "{host}", ":path", "/r", "x-case", "{case}", "sec-websocket-version", "13")
		if err == nil {
			err = h.answered(1)
		}
		if err == nil && frames != "" {
			err = h.data(1, false, frames)
		}
		t := h.asking().target
		h.over(1, t.late(t.Deadlines.Idle))
		return err
	}
}

// allOver checks that no stream stands open, and nothing behind it.
func allOver(s *Seen) error {
	if s.halfway > 0 {
		return fmt.Errorf("%d streams stand open", s.halfway)
	}
	return abandoned(s)
}

// neverReads3 asks for an endless answer over HTTP/3 and reads none of it.
func neverReads3(r *run) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.target.late(r.target.Deadlines.Write))
	defer cancel()
	conn, err := h3.Dial(ctx, r.target.H3, r.target.tlsConfig(r.target.Host))
	if err != nil {
		return err
	}
	conn.Deaf = true
	if err = (h3Conn{r, conn}).open(1, true, get("/r")...); err == nil {
		err = r.held(ctx)
	}
	return errors.Join(err, conn.Close())
}
