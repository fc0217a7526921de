package message

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"time"

	"semper/edge/route"
)

// A Switcher is the ResponseWriter of a stream that can become something else, while its connection stays what it is: that of
// an extended CONNECT (RFC 8441).
type Switcher interface {
	// Switch answers with status 200 and what of h has a meaning there, and gives the stream away.
	Switch(h http.Header) (net.Conn, error)
}

// A Patient is the ResponseWriter of a stream. Its connection is not its own: no deadline of a socket says how long its client may
// take nothing.
type Patient interface {
	// SetPatience bounds from now on how long the client may take nothing of what it is sent; 0 is no bound.
	SetPatience(time.Duration)
}

// Patience bounds how long the client of w may take nothing, where w is a stream's.
func Patience(w http.ResponseWriter, d time.Duration) {
	if p, ok := within[Patient](w); ok {
		p.SetPatience(d)
	}
}

// Queued is an http.ResponseWriter that looks more closely whether its client is there while the request waits for its turn.
type Queued interface{ SetQueued(waits bool) }

// Queue tells w, where it wants to know, that its request waits for its turn, or no longer does.
func Queue(w http.ResponseWriter, waits bool) {
	if q, ok := within[Queued](w); ok {
		q.SetQueued(waits)
	}
}

// A Switched is a client's connection after a change of protocol.
type Switched struct {
	net.Conn
	Status int    // as the client was told
	Early  []byte // what the client has sent already; Conn does not have it
}

// Switch answers that the protocol changes, with the fields of h, which it makes fit for the next hop and edits by e. When it
// fails, nothing is open.
func Switch(w http.ResponseWriter, h http.Header, e route.Edit) (*Switched, error) {
	to := h["Upgrade"]
	RemoveHopByHop(h)
	delete(h, ErrorWord)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, to
	Edit(h, e)
	if s, ok := within[Switcher](w); ok {
		c, err := s.Switch(h)
		if err != nil {
			return nil, err
		}
		return &Switched{Conn: c, Status: http.StatusOK}, nil
	}
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	if err := writeSwitch(buffered.Writer, h); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered()) //nolint:errcheck // it is at hand
	return &Switched{Conn: c, Status: http.StatusSwitchingProtocols, Early: bytes.Clone(early)}, nil
}

// within is w, or what it wraps, if that is a T.
func within[T any](w http.ResponseWriter) (T, bool) {
	for {
		if s, ok := w.(T); ok {
			return s, true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			var none T
			return none, false
		}
		w = u.Unwrap()
	}
}

func writeSwitch(w *bufio.Writer, h http.Header) error {
	_, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = h.Write(w)
	}
	if err == nil {
		_, err = w.WriteString("\r\n")
	}
	return errors.Join(err, w.Flush())
}
