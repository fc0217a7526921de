package front

import (
	"time"

	"semper/edge/http1"
)

// A Subrequest is a request of the edge's own, without content, that a driver makes beside those of its clients. It belongs to the
// driver from Run to Receiver.End, and nothing of it is written any more.
type Subrequest struct {
	Target *Target
	Method http1.Method
	Head   []byte        // all of it, as it is sent
	Within time.Duration // from Run to the end of the response
	To     Receiver
}

// A Receiver gets the response to a Subrequest. Its methods are called by one goroutine, never before Run has returned; they do not block, and keep
// nothing of a slice that they are given.
type Receiver interface {
	// Head is the head of the response, with which the content that Content gets begins. It is not asked for informational ones.
	Head(r *http1.Response)
	// Content is a piece of the content. false: no more of it is wanted, and the subrequest ends as if that were all.
	Content(piece []byte) bool
	// End is the last call: with nil when the response was whole, or no more of it was wanted.
	End(err error)
}

// A Runner makes subrequests.
type Runner interface {
	// Run makes s when what is in hand is done. Only who is called by the driver may call it.
	Run(s *Subrequest) Running
}

// Running is a Subrequest on its way. Any goroutine may call Cancel: it ends soon, with context.Canceled. Once it has ended Cancel
// does nothing.
type Running interface{ Cancel() }
