package loop

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

// loop is one goroutine. Nothing in it is locked but its inbox.
type loop struct {
	d       *Driver
	n       int // its number, from 1
	poll    poll
	wheel   wheel
	now     int64 // monotonic nanoseconds since start, of the batch of events in hand
	start   time.Time
	date    []byte // of the second in hand, for answers
	dated   int64
	yielded int64 // when the scheduler was let in last

	front, rbuf, wbuf []byte         // rbuf is front without its headroom
	filled            int            // of rbuf, by the read that is in hand
	req               http1.Request  // of heads that came in one piece
	resp              http1.Response // the same

	tube   tube
	slots  []*endpoint
	free   []int32
	gen    uint32
	pools  map[*front.Target]*pool
	flows  []*flow     // free
	words  front.Words // of all of them
	ticket uint64      // of the flow that was taken last
	again  []*conn     // have something to do at the end of the batch
	queue  []*flow     // wait for a place in the queue of their target
	subs   []*sub      // are to begin at the end of the batch

	share     int         // see fairShare
	postponed []*endpoint // have had it, and go on in the next batch
	turns     int64       // how often somebody had it, so far

	swept bool
	over  bool

	bell int // eventfd
	gone chan struct{}

	mu     sync.Mutex // guards the following
	inbox  []func(*loop)
	closed bool
}

// An endpoint is a descriptor that a loop watches.
type endpoint struct {
	fd       int
	slot     int32
	gen      uint32
	readable bool // as far as is known
	writable bool
	ended    bool // its peer sends no more
	late     bool // it is among the loop's postponed
	timer    timer

	// One of these is whose it is.
	conn *conn
	up   *up
	door *door
}

func newLoop(d *Driver, n int) (*loop, error) {
	l := &loop{
		d: d, n: n, start: d.o.Origin, wbuf: make([]byte, 0, bufferSize+4096),
		pools: make(map[*front.Target]*pool), gone: make(chan struct{}), dated: -1, share: fairShare,
	}
	l.front = make([]byte, headroom+bufferSize)
	l.rbuf = l.front[headroom:]
	var err error
	if l.poll.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		unix.Close(l.poll.fd) //nolint:errcheck // it watches nothing
		return nil, err
	}
	b := &endpoint{fd: l.bell}
	l.register(b)
	if err := l.poll.add(l.bell, unix.EPOLLIN, b.slot, b.gen); err != nil {
		unix.Close(l.bell)    //nolint:errcheck // nobody has it
		unix.Close(l.poll.fd) //nolint:errcheck // the same
		return nil, err
	}
	l.tube.ready()
	return l, nil
}

// turn is how long, in nanoseconds, a loop goes on until it lets Go's scheduler in, at a place where nothing is half done. Otherwise it
// comes by itself: after 10 ms of one goroutine sysmon interrupts it by a signal, or takes its processor away while it waits in the
// kernel, and looks every 20 µs for a while whether there is more to take: that was one part in seven of the
// edge's processor time at 4,000 requests a second on a busy machine. For the same reason a loop is bound to no thread: to yield would be to change threads, twice.
const turn = int64(5e6)

// run is the goroutine of a loop.
func (l *loop) run() {
	defer l.d.works.Done()
	defer close(l.gone)
	for !l.over {
		if l.now-l.yielded >= turn {
			l.yielded = l.now
			runtime.Gosched()
		}
		n := l.poll.look()
		if n == 0 {
			n = l.poll.wait(l.pause())
		}
		l.now = int64(time.Since(l.start))
		l.goOn()
		for i := range n {
			e := l.poll.events[i]
			if at := l.slots[e.Fd]; at != nil && at.gen == uint32(e.Pad) {
				l.event(at, e.Events)
			}
		}
		for len(l.again) > 0 {
			c := l.again[len(l.again)-1]
			l.again = l.again[:len(l.again)-1]
			c.run()
		}
		l.wheel.expire(l.now, l.expired)
		if len(l.queue) > 0 {
			l.retry()
		}
		if len(l.subs) > 0 {
			l.beside()
		}
	}
	l.shut()
}

// pause is how many milliseconds to wait for events; -1: as long as it takes.
func (l *loop) pause() int {
	switch {
	case len(l.postponed) > 0:
		return 0
	case len(l.queue) > 0:
		return 1
	}
	return l.wheel.next(l.now)
}

// fairShare is how many bytes one content may bring in one batch, about. Where both its ends are fast there is always more of it, and
// everybody else's requests would wait for its end.
const fairShare = 1 << 20

// postpone lets e, which may have more to read, go on in the next batch.
func (l *loop) postpone(e *endpoint) {
	l.turns++
	if !e.late {
		e.late = true
		l.postponed = append(l.postponed, e)
	}
}

// goOn does what was postponed in the batch before.
func (l *loop) goOn() {
	if len(l.postponed) == 0 {
		return
	}
	todo := l.postponed
	l.postponed = nil
	for _, e := range todo {
		e.late = false
		switch {
		case e.conn != nil:
			e.conn.run() // nothing, if it is closed
		case e.up.flow != nil: // nor if that is
			e.up.flow.progress()
		case e.up.sub != nil:
			e.up.sub.progress()
		}
	}
}

// patient lets f wait for a place in the queue of its target: unlike with TCP, the kernel does not wait for one of a
// Unix socket. It is false when f has waited long enough.
func (l *loop) patient(f *flow) bool {
	if f.patience == 0 {
		f.patience = l.now + int64(l.d.o.Connect)
	}
	if l.now >= f.patience {
		f.patience = 0
		return false
	}
	l.queue = append(l.queue, f)
	return true
}

func (l *loop) retry() {
	queue := l.queue
	l.queue = nil
	for _, f := range queue {
		if f.patience != 0 && f.up == nil {
			f.attempt()
		}
	}
}

func (l *loop) event(e *endpoint, events uint32) {
	e.readable = e.readable || events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	e.writable = e.writable || events&unix.EPOLLOUT != 0
	e.ended = e.ended || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	switch {
	case e.conn != nil:
		e.conn.event(events)
	case e.up != nil:
		e.up.event(events)
	case e.door != nil:
		e.door.accept()
	default:
		l.answerBell()
	}
}

func (l *loop) expired(e *endpoint) {
	switch {
	case e.conn != nil:
		e.conn.expired()
	case e.up != nil:
		e.up.expired()
	case e.door != nil:
		e.door.resume()
	}
}

// register gives e a slot.
func (l *loop) register(e *endpoint) {
	l.gen++
	e.gen = l.gen
	if n := len(l.free); n > 0 {
		e.slot = l.free[n-1]
		l.free = l.free[:n-1]
		l.slots[e.slot] = e
		return
	}
	e.slot = int32(len(l.slots))
	l.slots = append(l.slots, e)
}

// forget takes e out of everything but the kernel, which lets go when the last descriptor of it is closed.
func (l *loop) forget(e *endpoint) {
	l.wheel.remove(&e.timer)
	if l.slots[e.slot] == e {
		l.slots[e.slot] = nil
		l.free = append(l.free, e.slot)
	}
}

// post has f done by the loop, soon; false when it has ended.
func (l *loop) post(f func(*loop)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.inbox = append(l.inbox, f)
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(l.bell, one[:]) //nolint:errcheck // at its limit it rings anyway
	return true
}

// sync is post that waits; false when the loop ended before.
func (l *loop) sync(f func(*loop)) bool {
	done := make(chan struct{})
	if !l.post(func(l *loop) { f(l); close(done) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-l.gone:
		return false
	}
}

func (l *loop) answerBell() {
	var b [8]byte
	unix.Read(l.bell, b[:]) //nolint:errcheck // it only stops the ringing
	l.mu.Lock()
	todo := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range todo {
		f(l)
	}
}

// shut closes everything.
func (l *loop) shut() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for _, e := range l.slots {
		switch {
		case e == nil:
		case e.conn != nil:
			e.conn.drop(front.CutOff)
		case e.door != nil:
			e.door.close()
		}
	}
	for _, s := range l.subs {
		s.end(errShut)
	}
	for _, e := range l.slots { // what is left is idle, or beside the clients
		switch {
		case e == nil || e.up == nil:
		case e.up.sub != nil:
			e.up.sub.end(errShut)
		default:
			e.up.close()
		}
	}
	l.tube.close()
	unix.Close(l.poll.fd) //nolint:errcheck // it watches nothing any more
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.Close(l.bell) //nolint:errcheck // closed says that nobody rings any more
}

// open takes a new connection in.
func (l *loop) open(fd int, peer netip.AddrPort, t *terms) {
	c := &conn{loop: l, terms: t, session: l.d.o.Edge.Open(front.Connection{Peer: peer, Loop: l.n})}
	c.endpoint = endpoint{fd: fd, conn: c, timer: timer{owner: &c.endpoint, slot: -1}, writable: true}
	l.register(&c.endpoint)
	l.d.conns.Add(1)
	if err := l.poll.add(fd, watched, c.slot, c.gen); err != nil {
		c.close()
		return
	}
	// Until its first byte it has as long as for a head.
	l.wheel.arm(&c.timer, l.now+t.head)
}

func (l *loop) sweep() {
	l.swept = true
	for _, e := range l.slots {
		if e != nil && e.conn != nil {
			e.conn.sweep()
		}
	}
}

func (l *loop) cut(which func(front.Session) bool) {
	for _, e := range l.slots {
		if e != nil && e.conn != nil && e.conn.busy() && which(e.conn.session) {
			e.conn.inHand().cut()
		}
	}
}

// today is the time as answers have it.
func (l *loop) today() []byte {
	if s := l.now / 1e9; s != l.dated {
		l.dated = s
		l.date = http1.AppendDate(l.date[:0], l.start.Add(time.Duration(l.now)))
	}
	return l.date
}

// take is a flow that is ready.
func (l *loop) take() *flow {
	l.ticket++
	if n := len(l.flows); n > 0 {
		f := l.flows[n-1]
		l.flows = l.flows[:n-1]
		f.x.Ticket = l.ticket
		return f
	}
	f := &flow{loop: l}
	f.x.Aside, f.x.Ticket, f.x.Words = l, l.ticket, &l.words
	return f
}

// flowsKept bounds what a loop keeps for reuse.
const flowsKept = 4096

func (l *loop) give(f *flow) {
	f.reset()
	if len(l.flows) < flowsKept {
		l.flows = append(l.flows, f)
	}
}
