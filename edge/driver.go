package edge

import (
	"net"
	"os"
	"runtime"
	"time"

	"semper/edge/loop"
)

// Driver is what carries plaintext connections. Both treat a request alike.
type Driver string

// The drivers.
const (
	// Loops carries the ordinary request in loops over epoll, which costs least; the zero Driver.
	Loops Driver = "epoll"
	// Goroutines has a goroutine for each connection.
	Goroutines Driver = "goroutine"
)

// startDriver starts the loops, and the server of what they give away.
func (e *Edge) startDriver() error {
	if e.o.Driver == Goroutines {
		return nil
	}
	e.aside = newHandover(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	c := e.o.Connections
	d, err := loop.New(loop.Options{
		Edge: e, Pass: e.aside.give, OnIdle: e.sayIdle, Log: e.log, Loops: loopsOf(runtime.NumCPU()),
		Head: c.Head, Idle: c.Idle, Body: bodyIdle, Write: writeIdle, Connect: dialTimeout,
		IdleTargets: c.Kept, IdleTarget: c.KeptFor, Stall: 0 * time.Second,
	})
	if err != nil {
		return err
	}
	// A loop that is busy keeps its processor; something has to be left for everything else.
	if n := loopsOf(runtime.NumCPU()) + 1; runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
	e.driver = d
	e.asides.Add(1)
	go func() { // ended by stopDriver, which waits for it
		defer e.asides.Done()
		e.plain.Serve(&door{Listener: e.aside, edge: e, ctx: e.ctx, end: func() {}}) //nolint:errcheck // its end is stopDriver's
	}()
	return nil
}

// loopsOf is how many loops a machine with n processors gets.
func loopsOf(n int) int { return max(n, 1) }

func (e *Edge) stopDriver() error {
	if e.driver == nil {
		return nil
	}
	err := e.driver.Close()
	e.aside.Close() //nolint:errcheck // it never fails
	e.asides.Wait()
	return err
}

// descriptor reports whether l is a socket of the kernel's, which a loop can watch.
func descriptor(l net.Listener) bool {
	_, ok := l.(interface{ File() (*os.File, error) })
	return ok
}
