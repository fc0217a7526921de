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
	// It has room for so many pages, some of which are only used in part. A smaller pipe takes more turns.
	unix.FcntlInt(uintptr(t.write), unix.F_SETPIPE_SZ, 4*bufferSize) //nolint:errcheck // beyond the user's share it stays as it is
	return true
}

// close gives up the pipe with what is in it.
func (t *tube) close() {
	if t.made {
		unix.Close(t.read)  //nolint:errcheck // nobody else has it
		unix.Close(t.write) //nolint:errcheck // the same
		t.made = false
	}
}

func splice(from, to, n int) (int, syscall.Errno) {
	for {
		m, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e != unix.EINTR {
			return int(m), e
		}
	}
}

// splices reports whether what comes next of the content can go through the pipe. Its end never does: who reads that ends the answer.
func (f *flow) splices() bool {
	return f.answered && f.download.Left() >= 2*bufferSize && !f.rechunk && f.x.Tee == nil && f.conn.writable && f.loop.tube.ready()
}

// splice moves some content from the target to the client. It reports whether to go on.
func (f *flow) splice() bool {
	u, t := f.up, &f.loop.tube
	n, errno := splice(u.fd, t.write, bufferSize)
	switch {
	case errno == unix.EAGAIN:
		u.readable = false
		return false
	case errno == unix.EINVAL: // not from such a socket: nothing was taken
		t.close()
		t.useless = true
		return true
	case errno != 0:
		f.broken(errno)
		return false
	case n == 0:
		f.ended()
		return false
	}
	t.moved += int64(n)
	f.download.Skip(int64(n))
	f.x.Sent += int64(n)
	if !f.pour(n) {
		return false
	}
	f.listen()
	return true
}

// pour gives the client the n bytes that are in the pipe. It reports whether the client is there.
func (f *flow) pour(n int) bool {
	c, l := f.conn, f.loop
	for n > 0 {
		m, errno := splice(l.tube.read, c.fd, n)
		if errno == unix.EAGAIN {
			break
		}
		if errno != 0 || m == 0 {
			l.tube.close()
			c.drop(front.ClientGone)
			return false
		}
		n -= m
	}
	if n == 0 {
		return true
	}
	c.writable = false
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
