package upstream

import (
	"errors"
	"io"
	"os"
	"syscall"

	"semper/edge/http1"
)

var (
	// ErrClosed is for a pool that is closed: its incarnation is over.
	ErrClosed = errors.New("the pool of this instance is closed: choose another instance")
	// ErrKilled is for a connection that Kill has closed.
	ErrKilled = errors.New("the connection was cut by this side")
	// ErrMultiplexed is what Get says where the instance speaks HTTP/2: requests to it share a connection, and go through
	// RoundTrip.
	ErrMultiplexed = errors.New("the instance speaks HTTP/2: use RoundTrip")

	errInterim   = errors.New("the app's answer: more informational responses than are taken")
	errNoH2      = errors.New("the instance did not choose HTTP/2 (ALPN): let it, or set its protocol to http/1.1")
	errNoTLS     = errors.New("HTTP/2 is negotiated over TLS only: configure TLS, or h2c")
	errShortBody = errors.New("the request's body ended before its Content-Length")
	errAbandoned = errors.New("the exchange is over")
)

// An Op is what was under way when an exchange went wrong.
type Op string

// The operations, in the order of an exchange.
const (
	Prepare Op = "prepare the request"  // it cannot be sent as it is; the instance knows nothing of it
	Connect Op = "connect"              // dialling, and TLS
	Send    Op = "send the request"     // writing it, or reading its body
	Await   Op = "await the response"   // its head
	Receive Op = "receive the response" // its content
)

// An Error says how far an exchange came. Of what it wraps, an *http1.Error says that the response was malformed; an
// error of net, io or syscall that the connection ended; the cause of a context that it was cancelled.
type Error struct {
	Op  Op
	Err error

	unsent, stale, silent bool
}

// Error names the operation and its cause.
func (e *Error) Error() string { return string(e.Op) + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes a response that was cut short what package io calls that.
func (e *Error) Is(target error) bool {
	return target == io.ErrUnexpectedEOF && errors.Is(e.Err, http1.ErrResponseTruncated)
}

// Timeout reports whether the instance took too long.
func (e *Error) Timeout() bool { return errors.Is(e.Err, os.ErrDeadlineExceeded) }

// Unsent reports whether err is of an exchange of which no byte was written, or which an HTTP/2 instance has disclaimed:
// the request may be sent elsewhere, whatever its method.
func Unsent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.unsent
}

// Silent reports whether err says that the connection ended before any byte of the response: nothing was malformed.
func Silent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.silent
}

// StaleReuse reports whether err says that a connection which had been idle ended before any byte of the response. Most
// likely the instance closed it when the request was on its way, and never saw that; but only a request that may be
// sent twice can be sent again.
func StaleReuse(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.stale
}

// ended reports whether err is the other side's end of a connection.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
