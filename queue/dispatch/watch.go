package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"

	"semper/queue"
)

// A watch bounds an attempt, and extends its lease as long as there are signs of life.
type watch struct {
	ctx  context.Context // of the attempt //nolint:containedctx // it is what a watch is about
	end  func()          // ends it, and returns when nothing of it runs
	seen *atomic.Bool    // a sign of life since it was looked for; nil: they are of no use
}

// watch watches over the attempt at c.
func (d *dispatcher) watch(ctx context.Context, c *queue.Claim, s queue.Settings) watch {
	limit := within(c.For)
	if s.Longest <= s.Lease {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
		return watch{ctx: ctx, end: cancel}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := watch{seen: new(atomic.Bool)}
	w.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		w.seen.Store(true)
		return nil
	}})
	over := make(chan struct{})
	go func() {
		defer close(over)
		cancel(d.extend(ctx, c, s, w.seen))
	}()
	w.end = func() { cancel(nil); <-over }
	return w
}

// extend extends the lease at each look that finds a sign of life, and returns why there is an end.
func (d *dispatcher) extend(ctx context.Context, c *queue.Claim, s queue.Settings, seen *atomic.Bool) error {
	now := time.Now()
	end, last := now.Add(within(c.For)), now.Add(s.Longest)
	for {
		if !pause(ctx, min(end.Sub(now), s.Lease/3)) {
			return ctx.Err()
		}
		now = time.Now()
		if seen.Swap(false) || s.Alive {
			switch err := d.queue.Extend(ctx, c.Lease); {
			case err == nil:
				end = now.Add(within(s.Lease))
			case errors.Is(err, queue.ErrLeaseLost):
				return err
			default:
				seen.Store(true) // it counts at the next look: the store may be back
			}
			if end.After(last) {
				end = last
			}
		}
		switch {
		case !now.Before(last):
			return fmt.Errorf("no answer within %s", s.Longest)
		case !now.Before(end):
			return fmt.Errorf("no sign of life for %s", s.Lease)
		}
	}
}

// reading is r, of which each byte is a sign of life.
func (w watch) reading(r io.Reader) io.Reader {
	if w.seen == nil {
		return r
	}
	return &signing{r, w.seen}
}

type signing struct {
	io.Reader
	seen *atomic.Bool
}

func (s *signing) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if n > 0 {
		s.seen.Store(true)
	}
	return n, err
}
