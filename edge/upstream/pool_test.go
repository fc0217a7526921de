package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/http1"
)

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// always answers every request alike.
func always(answer string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		for {
			if _, ok := readHead(br); !ok {
				return
			}
			io.WriteString(c, answer)
		}
	}
}

// use makes one exchange and says over which connection.
func use(t *testing.T, p *Pool) *Conn {
	t.Helper()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var r http1.Response
	if _, err := exchangeOnce(p, c, &r, http1.Asked{}, nil); err != nil {
		t.Fatal(err)
	}
	c.Release(true)
	return c
}

func TestTheLastUsedConnectionGoesFirst(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", always(okResponse)), func(o *Options) { o.MaxIdle = 2 })
	var cs [3]*Conn
	for i := range cs {
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cs[i] = c
	}
	var r http1.Response
	for _, c := range cs {
		if c.Reused() {
			t.Error("a new connection says that it is reused")
		}
		exchangeOnce(pool, c, &r, http1.Asked{}, nil)
		c.Release(true)
	}
	if s := pool.Stats(); s != (Stats{Open: 2, Idle: 2, Dialled: 3}) {
		t.Errorf("two are kept: %+v", s)
	}
	for range 3 {
		if c := use(t, pool); c != cs[1] || !c.Reused() {
			t.Error("not the last that was kept")
		}
	}
	pool.CloseIdle()
	if s := pool.Stats(); s != (Stats{Dialled: 3, Reused: 3}) {
		t.Errorf("%+v", s)
	}
}

// TestWhatHappensToAnIdleConnection: bytes or an end that came while it was idle are never taken for a response.
func TestWhatHappensToAnIdleConnection(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		do   func(net.Conn)
	}{
		{"closed", func(c net.Conn) { c.Close() }},
		{"half closed", func(c net.Conn) { c.(interface{ CloseWrite() error }).CloseWrite() }},
		{"bytes", func(c net.Conn) { io.WriteString(c, okResponse) }},
		{"reset", func(c net.Conn) {
			if tc, ok := c.(*net.TCPConn); ok {
				tc.SetLinger(0)
			}
			c.Close()
		}},
	} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(tc.name+" "+network, func(t *testing.T) {
				t.Parallel()
				idle, done := make(chan struct{}), make(chan struct{})
				var n atomic.Int64
				pool := newPool(t, startPeer(t, network, func(c net.Conn, br *bufio.Reader) {
					if n.Add(1) > 1 {
						always("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")(c, br)
						return
					}
					readHead(br)
					io.WriteString(c, okResponse)
					<-idle
					tc.do(c)
					close(done)
					io.Copy(io.Discard, br)
				}))
				first := use(t, pool)
				close(idle)
				<-done
				eventually(t, "it is seen", func() bool { return !first.quiet() })
				c, err := pool.Get(t.Context())
				if err != nil || c.Reused() {
					t.Fatal(err)
				}
				var r http1.Response
				got, err := exchangeOnce(pool, c, &r, http1.Asked{}, nil)
				if err != nil || string(got[len(got)-6:]) != "second" {
					t.Errorf("%q %v", got, err)
				}
				c.Release(true)
				if s := pool.Stats(); s.Stale != 1 || s.Reused != 0 || s.Open != 1 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestBytesBehindAResponse: more than was announced, and content where none can be.
func TestBytesBehindAResponse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		wire   string
		method http1.Method
	}{
		{okResponse + "!", http1.GET},
		{okResponse + okResponse, http1.GET},
		{okResponse, http1.HEAD},
		{"HTTP/1.1 204 No Content\r\n\r\nx", http1.GET},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\nx", http1.GET},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", http1.GET},
	} {
		pool := newPool(t, startPeer(t, "unix", always(tc.wire)))
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var r http1.Response
		if _, err := exchangeOnce(pool, c, &r, http1.Asked{Method: tc.method}, nil); err != nil {
			t.Errorf("%q: %v", tc.wire, err)
		}
		c.Release(true)
		if s := pool.Stats(); s.Open != 0 {
			t.Errorf("%q: kept: %+v", tc.wire, s)
		}
	}
}

// TestAnUnfinishedExchangeEndsItsConnection, whichever side of it is unfinished.
func TestAnUnfinishedExchangeEndsItsConnection(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", always(okResponse)))
	var r http1.Response
	for name, do := range map[string]func(*Conn){
		"nothing asked":     func(c *Conn) { c.Release(true) },
		"request not whole": func(c *Conn) { exchangeOnce(pool, c, &r, http1.Asked{}, nil); c.Release(false) },
		"head not read":     func(c *Conn) { c.Write([]byte(plainRequest)); c.Release(true) },
		"content not read":  func(c *Conn) { c.Write([]byte(plainRequest)); c.ReadHead(&r, http1.Asked{}); c.Release(true) },
		"killed":            func(c *Conn) { exchangeOnce(pool, c, &r, http1.Asked{}, nil); c.Kill(c.Use()); c.Release(true) },
		"closed":            func(c *Conn) { exchangeOnce(pool, c, &r, http1.Asked{}, nil); c.Close(); c.Release(true) },
	} {
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		do(c)
		if s := pool.Stats(); s.Open != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestKillOfAnEarlierUse does nothing to a later one, whenever it comes.
func TestKillOfAnEarlierUse(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", always(okResponse)))
	for range 200 {
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var r http1.Response
		exchangeOnce(pool, c, &r, http1.Asked{}, nil)
		use := c.Use()
		var wg sync.WaitGroup
		wg.Go(func() { c.Kill(use) })
		c.Release(true)
		next, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, err := exchangeOnce(pool, next, &r, http1.Asked{}, nil); err != nil {
			t.Fatal("a use was killed by the name of another:", err)
		}
		next.Release(true)
	}
}

func TestKillWakesTheReader(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	pool := newPool(t, startPeer(t, "unix", func(_ net.Conn, br *bufio.Reader) {
		readHead(br)
		close(asked)
		readHead(br)
	}))
	c, err := pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-asked
		c.Kill(c.Use())
	}()
	var r http1.Response
	_, err = exchangeOnce(pool, c, &r, http1.Asked{}, nil)
	if !errors.Is(err, ErrKilled) || Unsent(err) || StaleReuse(err) {
		t.Errorf("%v", err)
	}
	c.Release(true)
}

// TestIdleConnectionsExpire with one timer, and none when nothing is idle.
func TestIdleConnectionsExpire(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", always(okResponse)), func(o *Options) { o.IdleTimeout = 30 * time.Millisecond })
	for range 3 {
		use(t, pool)
		eventually(t, "expired", func() bool { return pool.Stats().Open == 0 })
		eventually(t, "the timer rests", func() bool {
			pool.mu.Lock()
			defer pool.mu.Unlock()
			return !pool.armed
		})
	}
}

// unlookable hides what can be looked at.
type unlookable struct{ net.Conn }

func TestAConnectionThatCannotBeLookedAtIsUsedOnce(t *testing.T) {
	t.Parallel()
	p := startPeer(t, "unix", always(okResponse))
	pool := newPool(t, p, func(o *Options) {
		o.Dial = func(ctx context.Context) (net.Conn, error) {
			c, err := p.dial(ctx)
			return unlookable{c}, err
		}
	})
	use(t, pool)
	if s := pool.Stats(); s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAFailedDial(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	pool := New(Options{Dial: func(context.Context) (net.Conn, error) { return nil, refused }})
	if _, err := pool.Get(t.Context()); !errors.Is(err, refused) || !Unsent(err) || StaleReuse(err) {
		t.Errorf("%v", err)
	}
	pool.Close()
	if _, err := pool.Get(t.Context()); !errors.Is(err, ErrClosed) || !Unsent(err) {
		t.Errorf("%v", err)
	}
	pool.Close()
}

// TestCloseCutsEverything: those in use, those that are idle, and those that are being made.
func TestCloseCutsEverything(t *testing.T) {
	t.Parallel()
	p := startPeer(t, "unix", answering(okResponse))
	dialling, dial := make(chan struct{}), make(chan struct{})
	n := 0
	pool := New(Options{Dial: func(ctx context.Context) (net.Conn, error) {
		if n++; n == 3 {
			close(dialling)
			<-dial
		}
		return p.dial(ctx)
	}})
	use(t, pool)
	c, err := pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool.Get(t.Context())
	failed := make(chan error)
	go func() {
		_, err := pool.Get(t.Context())
		failed <- err
	}()
	<-dialling
	go func() {
		var r http1.Response
		_, err := exchangeOnce(pool, c, &r, http1.Asked{}, nil)
		c.Release(true)
		failed <- err
	}()
	pool.Close()
	close(dial)
	for range 2 {
		if err := <-failed; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrKilled) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	eventually(t, "the instance has no connection", func() bool { return p.open.Load() == 0 })
	if s := pool.Stats(); s.Open != 0 || s.Idle != 0 {
		t.Errorf("%+v", s)
	}
}
