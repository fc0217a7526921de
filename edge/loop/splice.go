package loop

import (
	"syscall"

	"golang.org/x/sys/unix"

	"semper/edge/front"
)

// Of what a long answer costs, two parts of three are that the kernel copies it to a loop's buffer and back. Content that nobody here
// has to look at, because its length is known and it goes as it came, is moved through a pipe instead (splice(2)), which takes over the
// kernel's own pages. The pipe is empty between any two flows: what a client does not take at once is read out of it, and waits where
// everything else waits.

// A tube is the pipe of a loop. It is made with the loop, so that a process has as many descriptors at rest before its first long answer
// as after it, and anew when a client went while something was in it.
type tube struct {
	read, write int
	made        bool
	useless     bool  // there is no pipe, or the kernel does not splice between these sockets
	moved       int64 // bytes, so far
}

// ready makes the pipe if there is none, and reports whether there is one.
func (t *tube) ready() bool {
	if t.made || t.useless {
		return t.made
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.useless = !exhausted(err)
		return false
	}
	t.read, t.write, t.made = fds[0], fds[1], true
	// It has room for so many pages, some of which are only used in part. A user who has many pipes gets smaller ones, at last of two
	// pages: through such a one it would take longer than by copying.
	size, err := unix.FcntlInt(uintptr(t.write), unix.F_SETPIPE_SZ, 4*bufferSize)
	if err != nil {
		size, err = unix.FcntlInt(uintptr(t.write), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil || size < bufferSize/4 {
		t.giveUp()
	}
	return t.made
}

// giveUp is close for good.
func (t *tube) giveUp() {
	t.close()
	t.useless = true
}

// close gives up the pipe with what is in it.
func (t *tube) close() {
	if t.made {
		unix.Close(t.read)  //nolint:errcheck // nobody else has it
		unix.Close(t.write) //nolint:errcheck // the same
		t.made = false
	}
}

// splice moves up to n bytes. Towards a client who has gone it raises SIGPIPE, as there is no way to ask it not to; Go's runtime ignores
// that where it is not about standard output.
func splice(from, to, n int) (int, syscall.Errno) {
	for {
		m, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e != unix.EINTR {
			return int(m), e
		}
	}
}

// unfit reports whether e says that the kernel does not splice here: not between such descriptors, or not for this process (seccomp).
func unfit(e syscall.Errno) bool {
	return e == unix.EINVAL || e == unix.ENOSYS || e == unix.EPERM || e == unix.EOPNOTSUPP
}

// splices reports whether what comes next of the content can go through the pipe. Its end never does: who reads that ends the answer.
func (f *flow) splices() bool {
	return f.answered && f.download.Left() >= 2*bufferSize && !f.rechunk && f.x.Tee == nil && f.conn.writable && f.loop.tube.ready()
}

// splice moves some content from the target to the client, of so many bytes. It reports whether to go on.
func (f *flow) splice() (moved int, ok bool) {
	u, t := f.up, &f.loop.tube
	n, errno := splice(u.fd, t.write, bufferSize)
	switch {
	case errno == unix.EAGAIN:
		u.readable = false
		return 0, false
	case unfit(errno): // nothing was taken
		t.giveUp()
		return 0, true
	case errno != 0:
		f.broken(errno)
		return 0, false
	case n == 0:
		f.ended()
		return 0, false
	}
	t.moved += int64(n)
	f.download.Skip(int64(n))
	f.x.Sent += int64(n)
	if !f.pour(n) {
		return n, false
	}
	f.listen()
	return n, true
}

// pour gives the client the n bytes that are in the pipe. It reports whether the client is there.
func (f *flow) pour(n int) bool {
	c, t := f.conn, &f.loop.tube
	for n > 0 {
		m, errno := splice(t.read, c.fd, n)
		switch {
		case errno == unix.EAGAIN:
			c.writable = false
			return f.bail(n)
		case unfit(errno):
			defer t.giveUp()
			return f.bail(n)
		case errno != 0 || m == 0:
			t.close()
			c.drop(front.ClientGone)
			return false
		}
		n -= m
	}
	return true
}

// bail empties the pipe of its n bytes, and sends them as what was read. It reports whether the client is there.
func (f *flow) bail(n int) bool {
	c, l := f.conn, f.loop
	for rest := l.rbuf[:n]; len(rest) > 0; {
		m, err := unix.Read(l.tube.read, rest)
		if err != nil || m == 0 { // it has what was put into it
			l.tube.close()
			c.drop(front.ClientGone)
			return false
		}
		rest = rest[m:]
	}
	return c.send(l.rbuf[:n])
}
