package dispatch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"semper"
	"semper/internal/inbox"
	"semper/queue"
)

// Options of a dispatcher.
type Options struct {
	Service  semper.PoolKey        // whose jobs they are: the pool that the edge sends them to
	Worker   string                // the process, for people
	Settings func() queue.Settings // of the queue, as they are now
	Edge     http.RoundTripper     // to the edge's own socket
	Slots    int                   // attempts at a time, at most; 0: 256
	Log      *slog.Logger          // nil: slog.Default()
}

// Run does jobs of q until ctx ends. It returns when nothing of it is under way, and no error: what goes wrong is tried again.
func Run(ctx context.Context, q queue.Worker, o Options) {
	if o.Slots == 0 {
		o.Slots = 256
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &dispatcher{Options: o, queue: q, slots: make(chan struct{}, o.Slots), large: make(chan struct{}, largeAnswers)}
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			for d.round(ctx) {
			}
		})
	}
	asking.Wait()
	d.wg.Wait()
}

// askers is how many ask for jobs at a time: while one begins those that it got, the others wait already, and have what
// comes meanwhile as it is accepted.
const askers = 3

type dispatcher struct {
	Options
	queue queue.Worker
	slots chan struct{} // has one for each attempt under way
	large chan struct{} // has one for each large answer in memory
	wg    sync.WaitGroup
}

// round claims as many jobs as its part of the slots is free for, and begins them. It reports whether to go on.
func (d *dispatcher) round(ctx context.Context) bool {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	free := 1
	for more := true; more && free < (cap(d.slots)+askers-1)/askers; {
		select {
		case d.slots <- struct{}{}:
			free++
		default:
			more = false
		}
	}
	claims, err := d.queue.Claim(ctx, d.Worker, free)
	for range free - len(claims) {
		<-d.slots
	}
	for i := range claims {
		d.wg.Go(func() {
			defer func() { <-d.slots }()
			d.attempt(ctx, &claims[i])
		})
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	d.Log.Warn("no jobs are handed out; trying again", "queue", d.Service, "error", err)
	return pause(ctx, time.Second)
}

// pause waits for d, or for the end of ctx, and reports whether it was the first.
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

// Final is an error of a transport after which no further attempt would help.
type Final struct{ Err error }

func (e *Final) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *Final) Unwrap() error { return e.Err }

// farewell is how long the end of an attempt may take to be written down. The lease ends what is not.
const farewell = 10 * time.Second

// attempt does one job and says how it went.
func (d *dispatcher) attempt(ctx context.Context, c *queue.Claim) {
	out, err := d.send(ctx, c)
	if out.free != nil {
		defer out.free()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	switch {
	case err != nil && ctx.Err() != nil, out.back:
		err = d.queue.Release(end, c.Lease)
	case err != nil:
		_, final := errors.AsType[*Final](err)
		_, err = d.queue.Fail(end, c.Lease, queue.Failure{Reason: err.Error(), Final: final})
	case out.result != nil:
		err = d.queue.Complete(end, c.Lease, *out.result)
	default:
		_, err = d.queue.Fail(end, c.Lease, out.failure)
	}
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		d.Log.Warn("how an attempt ended was not written down; it begins again when its lease ends", "queue", d.Service, "job", c.ID.String(), "error", err)
	}
}

// send is one attempt. The error is that there was no answer.
func (d *dispatcher) send(ctx context.Context, c *queue.Claim) (outcome, error) {
	s := d.Settings().Filled()
	w := d.watch(ctx, c, s)
	defer w.end()
	r, err := d.request(w.ctx, c)
	if err != nil { // it never was one: the same each time
		return outcome{failure: queue.Failure{Reason: err.Error(), Final: true}}, nil
	}
	resp, err := d.Edge.RoundTrip(r)
	if err != nil {
		return outcome{}, because(w.ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // what is wanted of it was read
	body, free, err := d.read(w.ctx, w.reading(resp.Body), s.MaxAnswer)
	if err != nil {
		free()
		return outcome{}, because(w.ctx, err)
	}
	out := decide(s, resp.StatusCode, resp.Header, body, time.Now())
	out.free = free
	return out, nil
}

const (
	// ordinary is the largest body of an answer that each attempt under way may have in memory.
	ordinary = 1 << 20
	// largeAnswers is how many larger ones there may be at a time, from all attempts of a queue.
	largeAnswers = 4
)

// read is the body of an answer up to a byte more than most. free is to be called when it is in memory no more.
func (d *dispatcher) read(ctx context.Context, from io.Reader, most int) (body []byte, free func(), err error) {
	free = func() {}
	body, err = io.ReadAll(io.LimitReader(from, int64(min(most, ordinary)+1)))
	if err != nil || len(body) <= ordinary || most <= ordinary {
		return body, free, err
	}
	select {
	case d.large <- struct{}{}:
		free = func() { <-d.large }
	case <-ctx.Done():
		return nil, free, ctx.Err()
	}
	rest, err := io.ReadAll(io.LimitReader(from, int64(most+1-len(body))))
	return append(body, rest...), free, err
}

// because is err, or why ctx ended where that is the reason.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// request is the job's request, with what a handler needs to act once only.
func (d *dispatcher) request(ctx context.Context, c *queue.Claim) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, c.Request.Method, "http://edge"+c.Request.Target, bytes.NewReader(c.Request.Body))
	if err != nil {
		return nil, err
	}
	r.Header = c.Request.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Host = c.Request.Host
	r.Header.Set(inbox.Field, string(d.Service))
	r.Header.Set("Semper-Job-Id", c.ID.String())
	r.Header.Set("Semper-Attempt", strconv.Itoa(c.Lease.Attempt))
	if r.Header.Get("Idempotency-Key") == "" {
		r.Header.Set("Idempotency-Key", `"`+c.ID.String()+`"`)
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header["User-Agent"] = nil // none was sent
	}
	return r, nil
}
