package load

import (
	"context"
	"sync"
	"time"
)

// Config says what load to make. Zero counts mean none of that kind.
type Config struct {
	Address string // host:port to connect to
	Host    string // Host header; Address when empty
	Path    string // of quick requests; "/" when empty
	// KeepAlive connections each send the next request as soon as the last is answered (and Think
	// has passed).
	KeepAlive int
	Think     time.Duration
	Fresh     int           // new connections per second, one request each
	Slow      int           // connections that each have a slow request in hand all the time
	SlowPath  string        // "/slow?ms=2000" when empty
	Sockets   int           // WebSockets, each one message and its echo at a time
	SocketGap time.Duration // between an echo and the next message; 100 ms when zero
	SocketURL string        // path of the WebSocket; "/socket" when empty
	Timeout   time.Duration // of one request; 30 s when zero
	// Lenient takes any whole answer with status 200: for apps that do not write their release into
	// the body. The release is then what the X-Semper-Release header says.
	Lenient bool
}

func (c Config) withDefaults() Config {
	set := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	set(&c.Host, c.Address)
	set(&c.Path, "/")
	set(&c.SlowPath, "/slow?ms=2000")
	set(&c.SocketURL, "/socket")
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.SocketGap == 0 {
		c.SocketGap = 100 * time.Millisecond
	}
	return c
}

// A Generator makes load until it is stopped. Its methods are safe for concurrent use.
type Generator struct {
	cfg     Config
	account *account
	sockets sockets
	began   time.Time
	cancel  context.CancelFunc
	running sync.WaitGroup
	stopped chan struct{} // closed when no new requests are to be sent
	once    sync.Once
}

// Start makes load until Stop, or until ctx ends, which breaks off what is in hand without counting it.
func Start(ctx context.Context, c Config) *Generator {
	ctx, cancel := context.WithCancel(ctx)
	g := &Generator{cfg: c.withDefaults(), account: newAccount(), began: time.Now(), cancel: cancel, stopped: make(chan struct{})}
	for range g.cfg.KeepAlive {
		g.running.Go(func() { g.keepAlive(ctx, g.cfg.Path, g.cfg.Think, true) })
	}
	for range g.cfg.Slow {
		g.running.Go(func() { g.keepAlive(ctx, g.cfg.SlowPath, 0, false) })
	}
	if g.cfg.Fresh > 0 {
		g.running.Go(func() { g.fresh(ctx) })
	}
	for i := range g.cfg.Sockets {
		g.running.Go(func() { g.socket(ctx, i) })
	}
	return g
}

// Stop sends no new requests, waits for the answers to those in hand and reports.
func (g *Generator) Stop() Report {
	g.once.Do(func() { close(g.stopped) })
	g.running.Wait()
	g.cancel()
	return g.Report()
}

// Enter starts a section: requests that end from now on are measured under name.
func (g *Generator) Enter(name string) { g.account.enter(name) }

// Deploying says that production is about to move to target; either release may answer until the cutover.
func (g *Generator) Deploying(target string) { g.account.deploying(target) }

// Cutover says when the move was acknowledged: no request sent later may be answered by another
// release. It returns how many already were.
func (g *Generator) Cutover(at time.Time) (late int) { return g.account.cutOver(at) }

func (g *Generator) over(ctx context.Context) bool {
	select {
	case <-g.stopped:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// pause waits d, or less at the end of the run.
func (g *Generator) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.stopped:
	case <-ctx.Done():
	}
}

// retryPause is waited after a failed request, so that a dead target is not counted a million times.
const retryPause = 10 * time.Millisecond

// keepAlive is one connection's closed loop.
func (g *Generator) keepAlive(ctx context.Context, path string, think time.Duration, quick bool) {
	req := request(g.cfg.Host, path, true)
	var c *conn
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for !g.over(ctx) {
		if c != nil && c.closedByPeer() {
			// Nothing was in hand on it: no request is lost, and any client would connect again.
			g.account.closedIdle.Add(1)
			c.Close()
			c = nil
		}
		sent := time.Now()
		if c == nil {
			var err error
			if c, err = dial(ctx, g.cfg.Address, g.cfg.Timeout); err != nil {
				if ctx.Err() == nil {
					g.account.failed(connOutcome(err, Reset), "connect", err)
				}
				g.pause(ctx, retryPause)
				continue
			}
		}
		good, again := g.one(ctx, c, req, path, sent)
		if good && quick {
			g.account.section.Load().latency.Record(time.Since(sent))
		}
		if !again {
			c.Close()
			c = nil
			continue
		}
		g.pause(ctx, think)
	}
}

// one performs and counts a request: whether it was good, and whether the connection may carry another.
func (g *Generator) one(ctx context.Context, c *conn, req []byte, what string, sent time.Time) (good, again bool) {
	res, o, err := c.exchange(req, g.cfg.Timeout)
	if ctx.Err() != nil {
		return false, false
	}
	whole := o == OK
	release := ""
	if whole {
		release, o, err = res.judge(g.cfg.Lenient)
	}
	if o != OK {
		g.account.failed(o, what, err)
		g.pause(ctx, retryPause)
		return false, whole && !res.close
	}
	return g.account.served(release, sent, what) == OK, !res.close
}

// fresh opens Fresh connections a second, one request each. It does not wait for the answer to one
// before it opens the next: a stalled accept queue must not thin out the load.
func (g *Generator) fresh(ctx context.Context) {
	req := request(g.cfg.Host, g.cfg.Path, false)
	tick := time.NewTicker(time.Second / time.Duration(g.cfg.Fresh))
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-tick.C:
			open.Go(func() { g.freshOne(ctx, req) })
		case <-g.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (g *Generator) freshOne(ctx context.Context, req []byte) {
	sent := time.Now()
	c, err := dial(ctx, g.cfg.Address, g.cfg.Timeout)
	if err != nil {
		if ctx.Err() == nil {
			g.account.failed(connOutcome(err, Reset), "connect (new connection)", err)
		}
		return
	}
	defer c.Close()
	if good, _ := g.one(ctx, c, req, g.cfg.Path+" (new connection)", sent); good {
		g.account.section.Load().fresh.Record(time.Since(sent))
	}
}
