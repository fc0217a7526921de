package etcd_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// proxy is the way from a client to a server, which can be blocked, in one direction or both, and cut.
type proxy struct {
	socket, to string
	l          net.Listener
	wg         sync.WaitGroup

	mu     sync.Mutex // guards the following
	move   *sync.Cond
	conns  map[net.Conn]bool
	asks   bool // blocked: nothing gets to the server
	says   bool // blocked: nothing gets back
	closed bool
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	p := &proxy{socket: filepath.Join(dir, "p.sock"), to: to, conns: map[net.Conn]bool{}}
	p.move = sync.NewCond(&p.mu)
	p.l, err = net.Listen("unix", p.socket)
	must(t, err)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		_ = p.l.Close()
		p.block(false, false)
		p.cut()
		p.wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("unix", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		late := p.closed
		p.mu.Unlock()
		if late {
			p.cut()
		}
		p.wg.Go(func() { p.carry(out, in, &p.asks) })
		p.wg.Go(func() { p.carry(in, out, &p.says) })
	}
}

func (p *proxy) carry(to, from net.Conn, blocked *bool) {
	defer func() { _ = to.Close() }()
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		for *blocked && p.conns[from] {
			p.move.Wait()
		}
		alive := p.conns[from]
		p.mu.Unlock()
		if n == 0 || !alive {
			return
		}
		if _, werr := to.Write(b[:n]); werr != nil || err == io.EOF {
			return
		}
	}
}

func (p *proxy) block(asks, says bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks, p.says = asks, says
	p.move.Broadcast()
}

// cut breaks every connection; what was on the way is lost.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.move.Broadcast()
}
