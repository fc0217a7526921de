package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"

	"semper"
	"semper/api"
	"semper/internal/handoff"
)

// SameUser turns away whoever is neither this user nor root. The socket's mode says the same, but a
// mode can be changed.
type SameUser struct{ net.Listener }

// Accept is the next connection of the same user or of root.
func (l SameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := c.(*net.UnixConn)
		if ok {
			if uid, err := handoff.PeerUID(u); err == nil && (uid == 0 || uid == os.Getuid()) {
				return c, nil
			}
		}
		_ = c.Close() // turned away
	}
}

// Take answers requests with a JSON body.
func Take[In, Out any](f func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&in); err != nil {
			reply(w, nil, &semper.Error{Code: semper.Invalid, Message: "the request cannot be read", Err: err})
			return
		}
		out, err := f(r.Context(), in)
		reply(w, out, err)
	}
}

// Give answers requests without one.
func Give[Out any](f func(*http.Request) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := f(r)
		reply(w, out, err)
	}
}

func reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(api.StatusOf(semper.CodeOf(err)))
		out = ErrorResponse{Error: wireError(err)}
	}
	_ = json.NewEncoder(w).Encode(out) // a client that has left misses nothing
}

// wireError is err with the cause, which does not travel, put into words.
func wireError(err error) semper.Error {
	wire := semper.Error{Code: semper.CodeOf(err), Message: err.Error(), Hint: semper.HintOf(err)}
	if e, ok := errors.AsType[*semper.Error](err); ok && e.Op != "" {
		if rest, ok := strings.CutPrefix(wire.Message, e.Op+": "); ok {
			wire.Op, wire.Message = e.Op, rest
		}
	}
	return wire
}
