package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLine is the most a single line may have; a longer one is handed on in pieces.
	maxLine = 64 << 10
	// defaultTail is how far back Tail looks when it is not told.
	defaultTail = 1 << 20
	// followPause is the time between two looks where the kernel cannot tell of a write.
	followPause = 200 * time.Millisecond
)

// Tail is up to lines last lines of the file at path, found in its last maxBytes (1 MiB for ≤ 0). What was given up at the
// front of the file is skipped, and so is a line of which only the end is left, unless it is the only
// one. Line ends are cut off.
func Tail(path string, lines int, maxBytes int64) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || lines <= 0 {
		return nil, err
	}
	if maxBytes <= 0 {
		maxBytes = defaultTail
	}
	size := st.Size()
	start := lastData(f, max(0, size-maxBytes), size)
	data, whole, err := readBack(f, start, size, lines)
	if err != nil {
		return nil, err
	}
	return split(data, whole, lines), nil
}

// lastData is where the last stretch of data within [from, size) begins: behind the last hole.
func lastData(f *os.File, from, size int64) int64 {
	for from < size {
		data, err := f.Seek(from, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return size // only a hole is left
		}
		if err != nil {
			return from
		}
		hole, err := f.Seek(data, unix.SEEK_HOLE)
		if err != nil || hole >= size {
			return data
		}
		from = hole
	}
	return from
}

// readBack reads from the end towards start until it has enough lines. whole says that the data
// begins at the beginning of a line.
func readBack(f *os.File, start, end int64, lines int) (data []byte, whole bool, err error) {
	at := end
	newlines := 0
	for at > start && newlines <= lines {
		n := min(max(maxLine, int64(len(data))), at-start) // doubling: each byte is moved a few times only
		chunk := make([]byte, n, n+int64(len(data)))
		if _, err := f.ReadAt(chunk, at-n); err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		newlines += bytes.Count(chunk, []byte{'\n'})
		data = append(chunk, data...)
		at -= n
	}
	if at == 0 {
		return data, true, nil
	}
	var before [1]byte
	_, err = f.ReadAt(before[:], at-1)
	return data, err == nil && before[0] == '\n', nil
}

func split(data []byte, whole bool, lines int) []string {
	// Filesystems without a way to ask for holes show them as zeros.
	trimmed := bytes.TrimLeft(data, "\x00")
	whole = whole && len(trimmed) == len(data)
	text := strings.TrimSuffix(strings.ToValidUTF8(string(trimmed), "\uFFFD"), "\n")
	if text == "" {
		return nil
	}
	all := strings.Split(text, "\n")
	if !whole && len(all) > 1 {
		all = all[1:]
	}
	all = all[max(0, len(all)-lines):]
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], "\r")
	}
	return all
}

// Line is one line of a log, without its line end.
type Line struct {
	Text string
	End  int64 // offset behind it: where to follow on from
}

// Follow yields the lines of the file at path that begin at offset or later (offset < 0: that are
// written from now on), and goes on with those to come until ctx ends or the loop is left.
// What was given up is skipped. A file that is truncated is read from its beginning again. An error
// is yielded once, as the last element; the end of ctx is none.
func Follow(ctx context.Context, path string, offset int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer f.Close()
		r := &follower{file: f, at: offset}
		if offset < 0 {
			if r.at, err = f.Seek(0, io.SeekEnd); err != nil {
				yield(Line{}, err)
				return
			}
		}
		w := newWatch(f)
		defer w.close()
		for ctx.Err() == nil {
			told := w.arm()
			if err := r.read(func(l Line) bool { return ctx.Err() == nil && yield(l, nil) }); err != nil {
				if !errors.Is(err, errLeft) {
					yield(Line{}, err)
				}
				return
			}
			if told {
				w.wait(ctx)
			} else {
				pause(ctx, followPause)
			}
		}
	}
}

// errLeft ends the reading when nobody wants more lines.
var errLeft = errors.New("left")

// follower reads a growing file line by line.
type follower struct {
	file    *os.File
	at      int64  // of the next byte to read
	pending []byte // a line without its end yet
	cut     bool   // at is inside of a line whose beginning is lost
}

// read gives all whole lines there are now to yield.
func (r *follower) read(yield func(Line) bool) error {
	buf := make([]byte, maxLine)
	for {
		if err := r.skip(); err != nil {
			return err
		}
		n, err := r.file.ReadAt(buf, r.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return nil
		}
		if !r.take(buf[:n], yield) {
			return errLeft
		}
	}
}

// skip moves on over a hole, and back to the beginning of a file that has become shorter.
func (r *follower) skip() error {
	st, err := r.file.Stat()
	if err != nil {
		return err
	}
	if st.Size() < r.at {
		r.at, r.pending, r.cut = 0, nil, false
	}
	if data, err := r.file.Seek(r.at, unix.SEEK_DATA); err == nil && data > r.at {
		r.at, r.pending, r.cut = data, nil, true
	}
	return nil
}

func (r *follower) take(b []byte, yield func(Line) bool) bool {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		n := i + 1
		if i < 0 {
			n = len(b)
		}
		r.at += int64(n)
		piece := b[:n]
		b = b[n:]
		if r.cut {
			r.cut = i < 0
			continue
		}
		r.pending = append(r.pending, piece...)
		if i < 0 && len(r.pending) < maxLine {
			continue
		}
		text := bytes.TrimRight(r.pending, "\r\n")
		l := Line{Text: strings.ToValidUTF8(string(text), "\uFFFD"), End: r.at}
		r.pending = r.pending[:0]
		if !yield(l) {
			return false
		}
	}
	return true
}
