package reserve

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestWhoAsksByNumberGetsIt(t *testing.T) {
	t.Parallel()
	p := For(t)
	if _, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens there, and a connection ends with %v", err)
	}
	for range 3 { // again and again, as a server that is restarted does
		l, err := net.Listen("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := net.Listen("tcp", p.Address()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("two listen there: %v", err)
		}
		if err := errors.Join(in.Close(), c.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestWhoAsksForAnyDoesNot lets the kernel choose ports for listeners and for connections.
func TestWhoAsksForAnyDoesNot(t *testing.T) {
	t.Parallel()
	mine := make(map[int]bool)
	for range 500 {
		mine[For(t).Number] = true
	}
	if len(mine) != 500 {
		t.Fatalf("%d ports were reserved, want 500: two are the same", len(mine))
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for range 2000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		in, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []net.Addr{l.Addr(), c.LocalAddr()} {
			if mine[at.(*net.TCPAddr).Port] {
				t.Errorf("the kernel gave %s away, which is reserved", at)
			}
		}
		_ = c.(*net.TCPConn).SetLinger(0) // leaves nothing behind
		if err := errors.Join(c.Close(), in.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}
