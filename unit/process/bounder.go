package process

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// minBound is the least a log is bounded to: below it, whole blocks are too coarse.
	minBound = 64 << 10
	// writeRate is how many bytes a second a program is taken to be able to write. The next look is
	// never later than it could fill what is left at this rate.
	writeRate = 2 << 30
	minPause  = time.Millisecond
	maxPause  = 100 * time.Millisecond
	// blindPause is the longest time between two looks where the kernel cannot tell of a write.
	blindPause = time.Second
)

// Bounder keeps one log file's disk use within a bound, without the program that writes it noticing.
type Bounder struct {
	path   string
	max    int64
	cancel context.CancelFunc
	done   chan struct{}

	// Owned by the goroutine until done is closed.
	file *os.File
	from int64 // everything before it is given up
	copy bool  // the filesystem cannot punch holes
}

// LogBound keeps the file at path, made when it is not there, within about max bytes of disk (at
// least 64 KiB; no bound for max ≤ 0) until Close. The oldest part becomes a hole in the file, so no offset
// changes and nobody has to reopen it; the newest max/2 always stay. Where the filesystem has no
// holes the newest half is copied to the front instead, and a line written in that moment may be lost.
//
// It looks only after a write, and then as often as a very fast writer would need.
// A file that is idle costs nothing.
func LogBound(path string, max int64) *Bounder {
	ctx, cancel := context.WithCancel(context.Background())
	b := &Bounder{path: path, max: max, cancel: cancel, done: make(chan struct{})}
	if max <= 0 {
		close(b.done)
		return b
	}
	if b.max < minBound {
		b.max = minBound
	}
	go b.run(ctx)
	return b
}

// Close looks a last time, ends the bounding and waits for it. It may be called more than once.
func (b *Bounder) Close() {
	b.cancel()
	<-b.done
}

func (b *Bounder) run(ctx context.Context) {
	defer close(b.done)
	for !b.open() {
		if !pause(ctx, blindPause) {
			return
		}
	}
	defer b.file.Close()
	w := newWatch(b.file)
	defer w.close()
	var before int64
	blind := minPause
	for {
		told := w.arm() // before the look, so that no write falls between the two
		kept := b.trim()
		wait := pauseFor(b.max, kept)
		if !told {
			blind = blindFor(blind, b.max, kept-before)
			wait = max(wait, blind)
		}
		before = kept
		if !pause(ctx, wait) || (told && !w.wait(ctx)) {
			b.trim()
			return
		}
	}
}

// open opens the file and finds out what an earlier Bounder gave up.
func (b *Bounder) open() bool {
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return false
	}
	b.file = f
	b.from, err = f.Seek(0, unix.SEEK_DATA)
	if err != nil {
		b.from = 0
	}
	return true
}

// pauseFor is how long a writer certainly needs to fill the rest of the bound.
func pauseFor(bound, kept int64) time.Duration {
	left := min(max(0, bound-kept), writeRate)
	return min(max(time.Duration(left*int64(time.Second)/writeRate), minPause), maxPause)
}

// blindFor is the next pause of one who is not told of writes, after a pause in which the log grew by that
// much (less than nothing when some was given up): short while it grows fast, longer each time it does not.
func blindFor(last time.Duration, bound, grown int64) time.Duration {
	if grown < 0 || grown > bound/16 {
		return minPause
	}
	return min(2*last, blindPause)
}

// trim gives up the oldest part when five eighths of the bound are in use; the rest is for what is
// written until it happens. It returns how much is kept.
func (b *Bounder) trim() (kept int64) {
	st, err := b.file.Stat()
	if err != nil {
		return 0
	}
	size := st.Size()
	if size < b.from {
		b.from = 0 // somebody truncated it
	}
	if size-b.from <= b.max/8*5 {
		return size - b.from
	}
	to := (size - b.max/2) &^ (blockSize - 1)
	if !b.copy {
		err := unix.Fallocate(int(b.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, to)
		switch {
		case err == nil:
			b.from = to
			return size - to
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			b.copy = true
		default:
			return size - b.from
		}
	}
	b.moveToFront(size - b.max/2)
	return b.max / 2
}

// blockSize is a multiple of the block size of the filesystems there are: a hole is made of whole blocks.
const blockSize = 4096

// moveToFront keeps what is behind offset only. The file is open for appending, by us as by its
// writer, so that what is written meanwhile goes behind what was written before.
func (b *Bounder) moveToFront(offset int64) {
	var tail []byte
	// Whatever came while reading is read too, until the gap is as short as it gets.
	for range 8 {
		st, err := b.file.Stat()
		at := offset + int64(len(tail))
		if err != nil || st.Size() <= at {
			break
		}
		more, err := io.ReadAll(io.NewSectionReader(b.file, at, st.Size()-at))
		if err != nil {
			return
		}
		tail = append(tail, more...)
	}
	if b.file.Truncate(0) == nil {
		_, _ = b.file.Write(tail)
	}
	b.from = 0
}

// pause waits for d, or less when ctx ends: false then.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
