// Package front is the contract between the edge and the drivers that move its bytes.
//
// # Problem
//
// There are two ways to run connections: a goroutine for each, which goes everywhere and carries everything, and loops
// over epoll, which carry the ordinary request for less. Both must treat a request alike. So what is decided about it is
// decided once, by the edge, and a driver only asks: the same questions, in the same order, with the same values.
//
// # A request's way
//
//	         ┌──────────── Forward ◀──────────┐
//	head     ▼                                │ the next target
//	parsed  Begin ──▶ Forward ──▶ attempt ──▶ Failed ──▶ Refuse ──▶ End
//	         │ │                     │
//	         │ ├─▶ Refuse ──▶ End    └──▶ Head ──▶ content ──▶ End
//	         │ └─▶ Wait, as Failed may say too ──▶ Woken ──▶ any of these
//	         └─▶ Pass, as Woken and Failed may say too: another way of the same process answers it
//
// Begin claims a target: the request is in flight there from then on, until End. Failed is asked when an attempt brought
// no response, gives that claim back and may claim another. Woken is asked when a wait is over. Head is asked when the response's head is there. End comes
// exactly once for whatever was not passed, and Begin for nobody else before that. While it waits it may be folded: see [Folder].
//
// A request that has begun here and is passed goes on there as the same one: its [Handover] has all that is known of it, what
// it holds, and as much of it as was read. So the rule of a request that waits may change in any way: it is not lost.
//
// # Who owns what
//
// A driver owns the Exchange and calls a Session from one goroutine at a time. No method blocks, and none keeps a slice
// of a buffer beyond the call but those of the Session's own memory that it puts into the Exchange, which are good until
// End. A driver's own methods may be called from any goroutine.
package front

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"

	"semper/edge/http1"
)

// An Edge decides for the connections of its drivers.
type Edge interface {
	// Open is asked once for each connection.
	Open(c Connection) Session
}

// A Connection is what is known of one before its first request.
type Connection struct {
	Peer netip.AddrPort       // of the client; invalid for a Unix socket
	TLS  *tls.ConnectionState // nil for plaintext
	Loop int                  // number of the loop that alone carries it, from 1; 0 where every connection has a goroutine
	// Extra are field lines of each answer, as http1.AppendField makes them; empty for none.
	Extra string
}

// A Session decides for one connection.
type Session interface {
	// Begin decides about the request whose head has just been parsed.
	Begin(x *Exchange) Action
	// Woken decides about a request that waited, after Exchange.Waker was called for it. It may let it wait again. With Pass it
	// sets Exchange.Handover.
	Woken(x *Exchange) Action
	// Failed decides what becomes of an attempt that brought no response: Forward, with another target, Wait, Refuse, or, where
	// the failure is replayable, Pass, with which it sets Exchange.Handover.
	Failed(x *Exchange, f Failure) Action
	// Head decides how the response whose head has just been parsed is passed on. It is not asked for informational ones.
	Head(x *Exchange)
	// End takes the books of a request that was not passed.
	End(x *Exchange, how Outcome)
	// Close is the last call: the connection is gone, or another driver has it.
	Close()
}

// An Observer is a Session that wants to know what drivers answer by themselves to what is no request: to a head that is
// malformed, too large or too slow. Nothing else is asked or told about those.
type Observer interface {
	// Refused tells of such an answer. now is as in [Exchange].
	Refused(now int64, r *http1.Refusal)
}

// A Folder is a Session that can keep a request that waits in little memory. A driver need not ask for that.
type Folder interface {
	// Fold is called when a request begins to wait, with whatever was made by the Session's words of no use any more. The next call for
	// that request, Woken, Failed or End, sets Exchange.Request anew, which is good until End; the driver sets Waker, Ticket
	// and what counts content as they were. Woken with Forward sets what Begin does too. False: the request is one that is
	// not folded, and nothing has changed. One that was folded is folded each time it waits, until it is forwarded.
	Fold() bool
}

// An Action is what a driver does next with a request.
type Action uint8

// The actions.
const (
	Pass    Action = iota // this request is for the other way: see Driver
	Forward               // send it to Exchange.Target
	Refuse                // answer with Exchange.Refusal
	Wait                  // neither yet: Exchange.Waker will be called
)

// A Waker is how a Session has a driver come back to a request that waits: Woken is called for it soon, by whoever owns
// the session. Any goroutine may call Wake. A ticket whose request has ended meanwhile does nothing.
type Waker interface{ Wake(ticket uint64) }

// An Exchange is one request and what becomes of it. It is reused from request to request.
type Exchange struct {
	// Set by the driver before Begin. The head's bytes are good during Begin, and until the forwarded head is made from it.
	Request *http1.Request
	// Now is the monotonic clock in nanoseconds when the call was made, as exact as the driver has it. For all calls.
	Now int64

	// Date is now as a response has it, for all calls: set by the driver.
	Date []byte
	// Waker and Ticket are for Wait: set by the driver.
	Waker  Waker
	Ticket uint64
	// Aside makes requests of the Session's own: set by the driver; nil: it makes none.
	Aside Runner

	// Set by the Session for Forward.
	Target *Target
	*Words // set by the driver: room for what the Session says in the call under way
	// Keep is how much of the content may be kept for another attempt, in bytes; 0 for none.
	Keep int
	// Bounds are those of the request's rule: set by the Session with the first Forward or Wait. nil: the driver's own.
	Bounds *Bounds

	// Set by the driver before Failed and Head: whether the connection to the target had carried a request before.
	Reused bool
	// Set by the driver before Head.
	Response *http1.Response
	// Set by the Session in Head. Tee gets the content of the response too, as the target sends it; nil: nobody does. It neither blocks
	// nor keeps what it is given, and what it returns means nothing.
	Tee io.Writer
	// Stream says, after Head, that the response goes on until somebody ends it: it is no reason to wait for.
	Stream bool

	// Set by the Session for a Pass that is not Begin's. What it says of the content, the driver sets.
	Handover *Handover

	// Status is that of the answer, for End: set by the driver; 0 when there was none.
	Status int
	// Received and Sent count the bytes of content from and to the client.
	Received, Sent int64
}

// Words are what a Session says in one call, and its driver acts upon before the next. So one room does for many requests of one
// goroutine, which are the smaller while they wait.
type Words struct {
	// Forward counts in Begin, when it answered Forward or Wait: the head is made then, once, for all attempts.
	Forward http1.Forward
	// Answer is set in Head.
	Answer http1.Answer
	// Refusal is set for Refuse.
	Refusal http1.Refusal
}

// Bounds are how long nothing may happen to a request, and how much of it there may be. 0 is no bound. They are never
// written once they are in use, and shared.
type Bounds struct {
	Connect  time.Duration // until a connection to the target is there
	Response time.Duration // from the end of the request to the head of the response
	Upload   time.Duration // in which some of the request's content has to come
	Rate     int64         // bytes a second that it has to come at on the whole, once it takes longer than Upload
	Content  int64         // how much of it there may be
	Stall    time.Duration // in which some of the response's content has to come
	Stream   time.Duration // the same of a stream, in place of Stall
	Write    time.Duration // in which the client has to take some of its answer
}

// A Target is one incarnation of an instance as drivers see it: whom to connect to. Drivers keep their connections by its
// address in memory, so that another life of the instance never sees a request that was meant for this one.
type Target struct {
	Network, Address string // of package net: "tcp", "127.0.0.1:8000"; "unix", "/run/app.sock"
	Owner            any    // what the edge knows it as
	// Idle is how many connections at rest a driver may keep, each of its loops that many, and IdleFor for how long. 0: as many,
	// and as long, as the driver does for anybody.
	Idle    int
	IdleFor time.Duration
}

// A Handover is a request on its way from a driver that has begun it to whoever answers it in the driver's place. It has one
// owner at a time, who gives it on or calls Story.Lost.
type Handover struct {
	Head  []byte // as it came; nobody writes it any more
	Story Story

	// How far the content was read: to where Body stands. What came of it, without what frames it, is Content.
	Body    http1.Body
	Content []byte
	Whole   bool // that is all
	Expects bool // the client waits for 100 Continue
}

// A Story is what a Session knows of a request that it hands over, and what the request holds.
type Story interface {
	// Lost says that the client's connection ended before anybody could go on with the request, and takes the books.
	Lost()
}

// An Heir is an http.ResponseWriter whose request may have begun elsewhere.
type Heir interface {
	// Inherit is the request's story: that of whoever asks first, and from then on no Handover's. nil: it begins here.
	Inherit() Story
}

// A Failure is an attempt that brought no response.
type Failure struct {
	Kind FailureKind
	// Unsent: no byte of the request was given to a connection, so that it may go elsewhere whatever its method.
	Unsent bool
	// Replayable: the whole request is still at hand.
	Replayable bool
	// Err is the evidence, for logs: of the connect or the read, or the *http1.Error that a response is refused for.
	Err error
}

// FailureKind sorts failures by what they say of the target.
type FailureKind uint8

// The kinds of failure.
const (
	ConnectFailed FailureKind = iota // it takes no connections; Err says in what way
	Broken                           // the connection ended, or was reset, before a response
	TimedOut                         // no response came in time
	Malformed                        // what came is not HTTP
	WasCut                           // ended by Driver.Cut
	ClientFault                      // the client went away, or its content is none: nobody waits for an answer, or it is an error of its own
)

// An Outcome is how a request ended.
type Outcome uint8

// The outcomes.
const (
	Answered   Outcome = iota // the whole response was passed on
	Refused                   // the edge answered
	ClientGone                // the client did not take the answer
	BrokenOff                 // the target ended in the middle of its response; so did the edge
	CutOff                    // by Driver.Cut, in the middle of the response
)

// A Driver runs connections.
type Driver interface {
	// Serve takes connections from l until ctx ends. It does not close l, and takes nothing from it that it does not serve:
	// what waits in the kernel's queue is there for whoever else has the socket.
	Serve(ctx context.Context, l net.Listener) error
	// Sweep closes the connections that wait for a request, and from now on each when it begins to.
	Sweep()
	// Cut breaks off the exchanges of those sessions of which which says so. It is asked while no other call of the session
	// is under way, and may be asked after Cut has returned.
	Cut(which func(Session) bool)
	// Retire closes the idle connections to t: it is gone.
	Retire(t *Target)
	// Connections is how many there are.
	Connections() int
	// Close ends all of them at once and waits for everything the driver runs.
	Close() error
}

// A Carrier is a listener whose connections no other driver can carry.
type Carrier interface {
	net.Listener
	// Driver is the one that does. Its Serve takes them from the Carrier, whatever it is given. onIdle is called when one of them
	// has ended; it does not block.
	Driver(onIdle func()) Driver
}
