package server

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fill reads some bytes behind what is in the input. It waits until at, or until the deadline that a handler has set. An
// error is errStopped or errSwept when the owner is wanted, os.ErrDeadlineExceeded, io.EOF, or what the socket says.
func (c *conn) fill(at int64) error {
	for {
		user := c.user.Load()
		hold := at
		if user != 0 {
			hold = user
		}
		if c.armed != hold {
			c.armed = hold
			c.nc.SetReadDeadline(c.server.when(hold)) //nolint:errcheck // a closed connection says so in the read
			if c.user.Load() != user {
				continue // set in between: ours may have come last
			}
		}
		// Behind the arming: whoever wakes us says why first, and then sets a deadline that has passed.
		if c.marks.Load() != 0 {
			return errStopped
		}
		if c.idle.Load() && c.server.swept.Load() {
			return errSwept
		}
		n, err := c.read()
		if n > 0 {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if c.armed = 0; c.user.Load() == user && c.server.now() >= hold {
			return err
		}
	}
}

func (c *conn) read() (int, error) {
	in := &c.in
	switch {
	case c.plain:
		if err := c.raw.Read(c.recv); err != nil {
			return 0, err
		}
		in.w += c.n
		return c.n, c.err
	case in.buf == nil: // no buffer while nothing is there; TLS has the rest at hand then
		n, err := c.nc.Read(c.one[:])
		if n > 0 {
			in.room(c.server.o.Limits.Head)
			in.buf[0], in.w = c.one[0], 1
		}
		return n, err
	}
	in.room(c.server.o.Limits.Head)
	n, err := c.nc.Read(in.buf[in.w:])
	in.w += n
	return n, err
}

// receive reads what is there; where nothing is, it reports false, and holds no buffer for it. It runs within read.
func (c *conn) receive(fd uintptr) bool {
	in := &c.in
	in.room(c.server.o.Limits.Head)
	c.n, c.err = 0, nil
	for {
		n, err := unix.Read(int(fd), in.buf[in.w:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			in.rest()
			return false
		case err != nil:
			c.err = os.NewSyscallError("read", err)
		case n == 0:
			c.err = io.EOF
		default:
			c.n = n
		}
		return true
	}
}

// loosely is an instant d from now at the soonest, and an eighth of d later at the latest: armed, if it is one. So a busy
// connection sets its deadline once in many requests.
func (c *conn) loosely(armed int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	now := c.server.now()
	if left := armed - now; left >= int64(d) && left <= int64(d+d/8) {
		return armed
	}
	return now + int64(d+d/8)
}

// takes is how long the client may take nothing.
func (c *conn) takes() time.Duration {
	if f := c.flow; f != nil && f.x.Bounds != nil {
		return f.x.Bounds.Write
	}
	return c.server.o.Write
}

// write sends p. It fails when the client takes nothing of it for too long.
func (c *conn) write(p []byte) error {
	for {
		if !c.userW.Load() {
			if at := c.loosely(c.armedW, c.takes()); at != c.armedW {
				c.armedW = at
				c.nc.SetWriteDeadline(c.server.when(at)) //nolint:errcheck // a closed connection says so in the write
				if c.marks.Load()&^markHalt != 0 {       // whoever marked it may have set his deadline before ours
					c.nc.SetWriteDeadline(time.Now().Add(lastWrite)) //nolint:errcheck // the same
				}
			}
		}
		n, err := c.nc.Write(p)
		if err == nil {
			return nil
		}
		// A TLS connection cannot go on behind a part of a record.
		if n == 0 || !c.plain || c.userW.Load() || c.marks.Load()&^markHalt != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		p, c.armedW = p[n:], 0
	}
}
