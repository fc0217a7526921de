package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	largeBuffer = 32 << 10
	// smallBuffer is that of what is held while nothing comes, where it cannot be known when something does.
	smallBuffer = 4 << 10
)

var (
	larges = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	smalls = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
)

// An input reads a connection for one goroutine.
type input struct {
	src  net.Conn
	raw  syscall.RawConn       // the socket's below src, if only that is read; else nil
	recv func(fd uintptr) bool // receive, made once

	buf []byte // nil while there is nothing
	n   int
	err error
}

// read waits for bytes, which are good until the next call. There may be some beside an error.
func (in *input) read() ([]byte, error) {
	if in.raw == nil {
		in.n, in.err = in.src.Read(in.room())
	} else if err := in.raw.Read(in.recv); err != nil {
		in.n, in.err = 0, err
	}
	return in.buf[:in.n], in.err
}

// room is a buffer that is larger where the last read filled one.
func (in *input) room() []byte {
	if in.n == smallBuffer {
		in.free()
		in.buf = larges.Get().(*[largeBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	if in.buf == nil {
		in.buf = smalls.Get().(*[smallBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	return in.buf
}

func (in *input) free() {
	switch len(in.buf) {
	case largeBuffer:
		larges.Put((*[largeBuffer]byte)(in.buf))
	case smallBuffer:
		smalls.Put((*[smallBuffer]byte)(in.buf))
	}
	in.buf = nil
}

// receive takes what the socket has; where that is nothing, it reports false, and holds no buffer meanwhile. It runs within
// read.
func (in *input) receive(fd uintptr) bool {
	if in.buf == nil {
		in.buf = larges.Get().(*[largeBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	in.n, in.err = 0, nil
	for {
		n, err := unix.Read(int(fd), in.buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			in.free()
			return false
		case err != nil:
			in.err = os.NewSyscallError("read", err)
		case n == 0:
			in.err = io.EOF
		default:
			in.n = n
		}
		return true
	}
}
