package process

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// Chunk is a piece of a log as it was written.
type Chunk struct {
	Data []byte
	End  int64 // offset behind it: where to go on from
}

// Bytes yields all that is written to the file at path from an offset on, as it is, until ctx ends or the loop is left; or, once nothing is
// written any more, which is when life ends, to its end. What was given up at the front is skipped. An error is yielded once, as the last
// element; the end of ctx is none.
func Bytes(ctx, life context.Context, path string, at int64) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Chunk{}, err)
			return
		}
		defer f.Close()
		either, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		w := newWatch(f)
		defer w.close()
		for ctx.Err() == nil {
			over := life.Err() != nil // before the look: what was written until then is seen
			told := w.arm()
			for ctx.Err() == nil {
				c, err := next(f, at)
				if err != nil {
					yield(c, err)
					return
				}
				if len(c.Data) == 0 {
					break
				}
				if at = c.End; !yield(c, nil) {
					return
				}
			}
			switch {
			case over:
				return
			case told:
				w.wait(either)
			default:
				pause(either, followPause)
			}
		}
	}
}

// next is what f has from an offset on, behind what was given up; nothing at its end.
func next(f *os.File, at int64) (Chunk, error) {
	if data, err := f.Seek(at, unix.SEEK_DATA); err == nil && data > at {
		at = data
	}
	buf := make([]byte, maxLine)
	n, err := f.ReadAt(buf, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return Chunk{buf[:n], at + int64(n)}, err
}
