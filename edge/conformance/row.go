package conformance

import (
	"strings"
	"time"

	"golang.org/x/net/http2"

	"semper/edge/conformance/wire"
)

// Row is one bad input, or one family of them, with the answers that are right.
type Row struct {
	Number int
	Name   string
	Why    string // the rule, or the fault of a peer that taught it
	Cases  []Case
}

// Case is one input. It is data: what is sent, what the recorder does, and which outcomes are right.
type Case struct {
	Name     string
	Steps    []Step               // for HTTP/1.1; nil: the case is not for it
	Mux      func(mux) error      // for HTTP/2 and HTTP/3; nil: the case is not for both
	H2       func(*h2Conn) error  // for HTTP/2 alone, down to its frames
	Settings []http2.Setting      // the client's, of HTTP/2
	Only     []Transport          // nil: every transport there is an input for
	Methods  []string             // of the requests in Steps, where one is not GET: an answer to HEAD has no body
	Answers  int                  // final answers after which there is nothing more to wait for; 0 is 1
	Reply    Reply                // to every request but probes and fences
	Proxy    bool                 // goes to the listener that requires a PROXY header
	Want     []Outcome            // any of them is right
	Needs    func(*Target) string // what the target lacks for this case; empty: nothing
	// Run, where set, does what no list of steps can, in the place of Steps, Mux and H2. It returns what is wrong.
	Run func(*run) error
}

// Step is one thing the client does.
type Step struct {
	Do    Do
	Data  string                        // what to send; {host} and {other} stand for the target's hosts
	Every func(Deadlines) time.Duration // between two pieces, of Dribble and Steady; the deadline that Quiet waits for
}

// Do is what a step does.
type Do int

// What a client does.
const (
	Send          Do = iota // all of Data at once
	SendEach                // one byte in each write
	Dribble                 // one byte, a pause, and so on, again and again, until the connection ends
	Steady                  // Data in 20 pieces with pauses
	Quiet                   // nothing, until the connection ends or is late to
	HalfClose               // end the client's stream; it still reads
	AwaitResponse           // wait for one more response, interim or final, or for the end of the connection
	AwaitRequest            // wait until the recorder has one more whole head
	AwaitGone               // wait until the proxy has closed the recorder's connections of this case, or a moment is over
	Release                 // let the recorder write what it is to write late
)

func send(data ...string) Step { return Step{Do: Send, Data: strings.Join(data, "")} }

// A Reach is what may have reached the recorder.
type Reach int

// From strict to anything.
const (
	Nothing      Reach = iota // not one byte of a request
	NothingWhole              // no whole request; what had begun was broken off
	Whole                     // each final answer of the recorder's has its one well-formed request
	Repeated                  // at least one well-formed request; a proxy may have repeated it
	Anything                  // whatever Check says
)

// Outcome is one right way to deal with a case.
type Outcome struct {
	Name   string
	Status []int // of the first final answer; empty: there is none
	Reset  bool  // HTTP/2: an error of the stream or the connection is as good as the status
	Close  bool  // there is one answer at most, and the connection ends behind it
	Broken bool  // the client can tell that the answer is not whole
	Reach  Reach
	Check  func(*Seen) error // what else is wrong; nil: nothing
}

// Seen is what came of a case.
type Seen struct {
	Answers  []*wire.Response // final ones, in order; of HTTP/2 by stream
	Interim  []*wire.Response
	Ended    Ending
	Error    error                    // why it ended so
	Tunnel   int64                    // bytes that followed a 101
	Messages []Message                // at the recorder, without fences
	Guarded  []Message                // at the other recorder
	Resets   map[uint32]http2.ErrCode // HTTP/2: streams that were reset
	GoAway   *http2.ErrCode           // HTTP/2
	h2       bool
	halfway  int // HTTP/2: streams whose answer has not ended
	target   *Target
}

// Ending is how a connection was when the client had seen enough.
type Ending int

// The endings of a connection.
const (
	Open Ending = iota
	Closed
	ResetByPeer
	Truncated // ended inside a message
	Garbage   // what came was no HTTP
)

func (e Ending) String() string {
	return [...]string{"open", "closed", "reset", "closed inside a message", "not HTTP"}[e]
}
