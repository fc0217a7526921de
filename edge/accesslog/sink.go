package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// A sink is where lines go. It belongs to the log's writer.
type sink struct {
	path   string // empty if to is somebody else's
	file   *os.File
	to     io.Writer
	failed func(error)

	limit   int64 // of the file; 0: there is none
	keep    int
	size    int64     // of the file, as far as is known
	checked time.Time // when it was

	torn bool  // a line was written in part: what comes next begins a line of its own
	err  error // of the last write
}

// open opens the path, again if it was open. The file in use stays in use when there is an error.
func (s *sink) open() error {
	if s.path == "" {
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open access log: %w", err)
	}
	at, err := f.Seek(0, io.SeekEnd)
	if err == nil && at == 0 {
		s.torn = false
	}
	s.size = at
	old := s.file
	s.file, s.to = f, f
	if old != nil {
		if err := old.Close(); err != nil { // of a file system that says late what it could not write
			return fmt.Errorf("close the access log before: %w", err)
		}
	}
	return nil
}

// write writes whole lines, and returns how many of them did not come out whole.
func (s *sink) write(b []byte) (lost uint64) {
	if s.torn {
		n, err := s.to.Write([]byte{'\n'})
		if s.torn = n < 1; err != nil {
			s.tell(err)
			return lines(b)
		}
	}
	n, err := s.to.Write(b)
	s.size += int64(max(n, 0))
	if n = min(max(n, 0), len(b)); n < len(b) {
		if err == nil {
			err = io.ErrShortWrite
		}
		lost = lines(b[n:])
		s.torn = n > 0 && b[n-1] != '\n'
	}
	s.tell(err)
	return lost
}

func lines(b []byte) uint64 { return uint64(bytes.Count(b, []byte{'\n'})) }

// tell tells when writing begins to fail, and when it works again.
func (s *sink) tell(err error) {
	if s.failed != nil && (err == nil) != (s.err == nil) {
		s.failed(err)
	}
	s.err = err
}

func (s *sink) close() error {
	err := s.err
	if err != nil {
		err = fmt.Errorf("write access log: %w", err)
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	return err
}
