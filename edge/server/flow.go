package server

import (
	"context"
	"errors"
	"sync/atomic"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/upstream"
)

const (
	// maxEarly bounds the informational responses to one request.
	maxEarly = 32
	// keptBuffer bounds what a flow keeps of its memory for the next request.
	keptBuffer = 32 << 10
)

// A flow is one request on its way, from a whole head to the end of its answer. It belongs to its connection's goroutine.
type flow struct {
	c     *conn
	x     front.Exchange
	words front.Words
	req   http1.Request
	resp  http1.Response
	kept  []byte        // the head as forwarded, and the content while it fits x.Keep
	headN int           // how much of kept is the head
	spill []byte        // an upload's: content that is not kept, as it is sent
	state atomic.Uint64 // twice the ticket, plus one when it was woken
	bell  chan struct{} // buffered, 1: look at state and the connection's marks

	// Guarded by the connection's mutex.
	ctx    context.Context // of connecting
	cancel context.CancelFunc
	up     *upstream.Conn // nil before the first
	use    uint64         // of up

	progress
}

// progress is what is different for each request.
type progress struct {
	// What the head said, for when its bytes are gone.
	asked     http1.Asked
	keepAlive bool
	noContent bool // of the answer: it is for HEAD
	minor     uint8

	// The request on its way out. While an upload runs it is the upload's.
	content  http1.Body
	chunked  bool
	expects  bool  // the client waits for 100 Continue
	uploaded bool  // all of it has been sent, or is kept
	lost     bool  // more was sent than is kept
	begun    int64 // when the content began to be waited for, later by what the target took its time for

	uploading chan struct{}  // closed when the upload has ended; nil without one
	final     atomic.Bool    // the upload writes the last of it
	fault     *http1.Refusal // of the client, which the upload has found
	gone      bool           // the same: the client is
	stuck     atomic.Bool    // the target takes nothing
	received  atomic.Int64

	// The response on its way back.
	early    int  // informational responses
	part     bool // some of its head came, and then no more
	answered bool // its head has been passed on
}

func newFlow() *flow {
	f := &flow{bell: make(chan struct{}, 1)}
	f.x.Words = &f.words
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// give ends f's request. A wake that comes late finds another ticket.
func (s *Server) give(f *flow) {
	f.state.Store((f.state.Load()>>1 + 1) << 1)
	if cap(f.kept) > keptBuffer {
		f.kept = nil
	}
	if cap(f.spill) > keptBuffer {
		f.spill = nil
	}
	if f.ctx.Err() != nil {
		f.ctx, f.cancel = context.WithCancel(context.Background())
	}
	f.c, f.x, f.words, f.up, f.progress = nil, front.Exchange{Words: &f.words}, front.Words{}, nil, progress{}
	s.flows.Put(f)
}

// Wake implements front.Waker.
func (f *flow) Wake(ticket uint64) {
	if f.state.CompareAndSwap(ticket<<1, ticket<<1|1) {
		f.ring()
	}
}

func (f *flow) ring() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// interruptLocked ends whatever f waits for. The connection's mutex is held.
func (f *flow) interruptLocked() {
	f.cancel()
	if f.up != nil {
		f.up.Kill(f.use)
	}
	f.ring()
}

// stamp sets what each call of the session is given.
func (f *flow) stamp() {
	f.x.Now, f.x.Date = f.c.server.now(), f.c.server.today()
	f.x.Received = f.received.Load()
}

// answer has the request whose head is n bytes of the input answered.
func (c *conn) answer(f *flow, n int) ending {
	action := c.ask(f)
	if action == front.Pass {
		return c.pass(f, n, nil)
	}
	r := &f.req
	f.keepAlive, f.minor, f.noContent = r.KeepAlive, r.Minor, r.Method == http1.HEAD
	f.content.ResetRequest(r, c.server.o.Limits)
	f.uploaded = f.content.Left() == 0
	if action == front.Refuse {
		c.in.skip(n)
		return f.refuse()
	}
	f.asked = http1.Asked{Method: r.Method}
	f.chunked, f.expects = r.Framing.Kind == http1.Chunked, r.Expects()
	f.kept = http1.AppendRequest(f.kept[:0], r, &f.x.Forward)
	f.headN = len(f.kept)
	f.x.Keep += f.headN
	if f.x.Bounds == nil {
		f.x.Bounds = &c.server.own
	}
	f.x.Request = nil // its bytes go
	c.in.skip(n)
	if err := f.take(); err != nil {
		return f.badBody(err)
	}
	return f.follow(action)
}

// ask begins the exchange.
func (c *conn) ask(f *flow) front.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marks.Load() != 0 { // gone already, or over: whoever interrupted has found no flow
		f.interruptLocked()
	}
	f.x.Request, f.x.Waker, f.x.Ticket = &f.req, f, f.state.Load()>>1
	f.stamp()
	action := c.session.Begin(&f.x)
	if action != front.Pass {
		c.flow = f
	}
	return action
}

// askAgain ends a wait.
func (c *conn) askAgain(f *flow) front.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.stamp()
	return c.toldLocked(f, c.session.Woken(&f.x))
}

// askHow shows the session the response.
func (c *conn) askHow(f *flow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.stamp()
	f.x.Response, f.x.Status = &f.resp, f.resp.Status
	c.session.Head(&f.x)
}

// follow does what the session says, until there is an answer.
func (f *flow) follow(action front.Action) (end ending) {
	for {
		switch action {
		case front.Forward:
			action, end = f.attempt()
		case front.Wait:
			action, end = f.wait()
		case front.Pass:
			return f.handOver()
		default:
			return f.refuse()
		}
		if end != proceed {
			return end
		}
	}
}

// take moves what of the content is at hand into kept, before anything was sent.
func (f *flow) take() error {
	in := &f.c.in
	for !f.uploaded {
		piece, n, done, err := f.content.Next(in.bytes())
		if err != nil {
			return err
		}
		in.skip(n)
		f.received.Add(int64(len(piece)))
		if f.tooMuch() {
			return http1.ErrBodyTooLarge
		}
		f.kept = f.frame(f.kept, piece, done)
		f.uploaded = done
		if n == 0 {
			break
		}
	}
	return nil
}

// frame appends content as the target gets it.
func (f *flow) frame(dst, piece []byte, done bool) []byte {
	if !f.chunked {
		return append(dst, piece...)
	}
	dst = http1.AppendChunk(dst, piece)
	if done {
		dst = http1.AppendLastChunk(dst, &f.content)
	}
	return dst
}

// wait waits until the session has another word to say.
func (f *flow) wait() (front.Action, ending) {
	c := f.c
	c.in.rest()
	c.held.Store(true)
	defer c.held.Store(false)
	for {
		if ticket := f.state.Load() >> 1; f.state.CompareAndSwap(ticket<<1|1, ticket<<1) {
			return c.askAgain(f), proceed
		}
		if c.marks.Load() != 0 {
			return f.failed(front.Failure{})
		}
		<-f.bell
	}
}

// attempt sends the request to the target and passes its response on. Where there is none it is what the session says to
// that.
func (f *flow) attempt() (front.Action, ending) {
	c := f.c
	if f.begun == 0 {
		f.begun = c.server.now()
	}
	if err := f.connect(); err != nil {
		return f.failed(front.Failure{Kind: front.ConnectFailed, Unsent: true, Err: err})
	}
	_, sending := f.up.Write(f.kept)
	if sending != nil && f.up.Written() == 0 {
		return f.failed(front.Failure{Kind: front.Broken, Unsent: true, Err: sending})
	}
	if sending == nil && !f.uploaded {
		if err := f.upload(); err != nil {
			return 0, f.abandon(front.ClientGone)
		}
	}
	// Where sending failed it may have answered before it closed.
	err := f.await()
	if err == nil {
		return 0, f.pass()
	}
	var gone *clientError
	if errors.As(err, &gone) {
		f.stopUpload()
		return 0, f.abandon(front.ClientGone)
	}
	return f.failed(f.failure(err))
}

var errNoPool = errors.New("the target is retired: choose another one")

// connect gets a connection to the target.
func (f *flow) connect() error {
	p := f.c.server.o.Pool(f.x.Target)
	if p == nil {
		return errNoPool
	}
	f.x.Reused = false
	b := f.x.Bounds
	u, err := p.GetWithin(f.ctx, b.Connect)
	if err != nil {
		return err
	}
	if b != &f.c.server.own {
		u.SetPatience(upstream.Patience{Head: b.Response, Body: b.Stall, Stream: b.Stream, Write: b.Response})
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.up, f.use, f.x.Reused = u, u.Use(), u.Reused()
	if f.c.marks.Load() != 0 { // it was interrupted before up was there to be killed
		u.Kill(f.use)
	}
	return nil
}

// end takes the books.
func (f *flow) end(how front.Outcome) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f.stamp()
	c.session.End(&f.x, how)
	c.flow, f.up = nil, nil
	c.forgiveLocked(f)
}

// next is what becomes of the connection when all of an answer has been sent.
func (f *flow) next() ending {
	if f.keepAlive && f.uploaded {
		return keep
	}
	return linger
}

// forgiveLocked takes a cut back, and what waking the owner has left behind. The connection's mutex is held.
func (c *conn) forgiveLocked(f *flow) {
	if c.marks.Load()&markCut == 0 {
		return
	}
	c.marks.And(^markCut)
	c.armed, c.armedW = 0, 0
	f.ctx, f.cancel = context.WithCancel(context.Background())
}
