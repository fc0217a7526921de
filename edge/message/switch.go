package message

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"

	"semper/edge/route"
)

// A Switcher is the ResponseWriter of a stream that can become something else, while its connection stays what it is: that of
// an extended CONNECT (RFC 8441).
type Switcher interface {
	// Switch answers with status 200 and what of h has a meaning there, and gives the stream away.
	Switch(h http.Header) (net.Conn, error)
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
	if s := switcher(w); s != nil {
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

// switcher is w, or what it wraps, if that is one.
func switcher(w http.ResponseWriter) Switcher {
	for {
		if s, ok := w.(Switcher); ok {
			return s
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
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
