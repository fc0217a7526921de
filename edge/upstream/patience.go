package upstream

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// A patience cancels a request that nothing comes of for too long.
type patience struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	over  bool
}

// errSlow is why.
var errSlow = slow{}

type slow struct{}

func (slow) Error() string        { return "the instance sent nothing in time" }
func (slow) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// begin begins to wait; it ends with pause, or end.
func (p *patience) begin(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over || d <= 0:
	case p.timer == nil:
		p.timer = time.AfterFunc(d, func() { p.cancel(errSlow) })
	default:
		p.timer.Reset(d)
	}
}

func (p *patience) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p *patience) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.pause()
	p.cancel(nil)
}

// A sharedContent is the body of a response over HTTP/2.
type sharedContent struct {
	io.ReadCloser
	pool     *Pool
	ctx      context.Context
	patience *patience
	wait     time.Duration
}

// Read reads, and is patient.
func (b *sharedContent) Read(p []byte) (int, error) {
	b.patience.begin(b.wait)
	n, err := b.ReadCloser.Read(p)
	b.patience.pause()
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.patience.end()
	default:
		err = b.pool.h2.fault(b.ctx, Receive, err, false)
	}
	return n, err
}

// Close ends the exchange.
func (b *sharedContent) Close() error {
	err := b.ReadCloser.Close()
	b.patience.end()
	return err
}
