package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"semper/verify/capture"
	"semper/verify/diff"
)

// Options say what is sent where, and how it is compared.
type Options struct {
	Candidate *url.URL // its path is put before those that were recorded
	Baseline  *url.URL // what answers the same; nil: the recorded responses do
	// Copy answers for the baseline a second time, to tell noise. nil: the baseline itself does, for methods that are safe.
	Copy    *url.URL
	Compare *diff.Comparer

	Unsafe       bool        // methods that are not safe are sent too
	RecordedHost bool        // a target may be what was recorded
	Header       http.Header // set on every request; a field without a value is taken out
	Pace         Pace
	Concurrency  int           // exchanges in hand at once; 0 is [DefaultConcurrency]
	Timeout      time.Duration // of one request, with its response; 0 is [DefaultTimeout]
	MaxBody      int64         // what is kept of a response's content, in bytes; 0 is [DefaultMaxBody]
	Limit        int64         // requests that are sent at most; 0: all

	// Transport sends requests; nil: one that goes straight to the targets.
	Transport http.RoundTripper
	// Tell gets each pair that was compared, and Progress what there is so far, each second. Both are called by the goroutine of Run.
	Tell     func(Pair) error
	Progress func(*Report)
}

// Defaults of [Options].
const (
	DefaultConcurrency = 8
	DefaultTimeout     = 10 * time.Second
	DefaultMaxBody     = 4 << 20
)

// Unsafe is why a request was left out.
const Unsafe capture.Reason = "unsafe method"

// A Source gives exchanges in their order; io.EOF: there are no more. [capture.Reader] is one.
type Source interface {
	Next() (capture.Exchange, error)
}

// A Pair is what was found in one exchange.
type Pair struct {
	Place    string          `json:"place"`
	Endpoint string          `json:"endpoint"`
	Found    diff.Comparison `json:"found"`
	// Noise is what was found between both answers of the baseline; nil: it was not asked twice.
	Noise *diff.Comparison `json:"noise,omitempty"`
}

func (o Options) whole() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Tell == nil {
		o.Tell = func(Pair) error { return nil }
	}
	if o.Progress == nil {
		o.Progress = func(*Report) {}
	}
	return o
}

// Check says what is wrong with the options.
func (o *Options) Check() error {
	if o.Candidate == nil {
		return errors.New("there is no candidate to ask")
	}
	if o.Copy != nil && o.Baseline == nil {
		return errors.New("there is a copy of the baseline and no baseline: name it, or leave the copy out")
	}
	for _, u := range []*url.URL{o.Candidate, o.Baseline, o.Copy} {
		if u != nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "") {
			return fmt.Errorf("%s is no address to send requests to: it is one like http://127.0.0.1:8080, with a path at most", u.Redacted())
		}
	}
	return o.Pace.Check()
}

// Run sends what src has, and returns what came of it, when all is done or at the first thing that cannot be: what is found until
// then is in the report too. It leaves nothing behind.
func Run(ctx context.Context, src Source, o Options) (*Report, error) {
	o = o.whole()
	report := newReport()
	if err := o.Check(); err != nil {
		return report, err
	}
	if o.Transport == nil {
		if err := o.reach(ctx); err != nil {
			return report, err
		}
		t := &http.Transport{
			DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2 * o.Concurrency, MaxResponseHeaderBytes: 1 << 20,
			DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext,
		}
		defer t.CloseIdleConnections()
		o.Transport = t
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	d := &dispatcher{o: o, src: src, order: make(chan *pair, 8*o.Concurrency), slots: make(chan struct{}, o.Concurrency), work: &work}
	work.Go(func() { d.run(ctx) })
	err := collect(ctx, o, d.order, report)
	report.finish()
	return report, err
}

// reach fails when nothing listens at a target: that would be a difference at every place, and is a mistake.
func (o *Options) reach(ctx context.Context) error {
	d := net.Dialer{Timeout: o.Timeout}
	for _, u := range []*url.URL{o.Candidate, o.Baseline, o.Copy} {
		if u == nil {
			continue
		}
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port(u)))
		if err != nil {
			return fmt.Errorf("nothing can be asked at %s: %w", u.Redacted(), err)
		}
		c.Close() //nolint:errcheck // nothing was sent
	}
	return nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// collect counts pairs in their order.
func collect(ctx context.Context, o Options, order <-chan *pair, report *Report) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var p *pair
		for p == nil {
			select {
			case p = <-order:
				if p == nil {
					return context.Cause(ctx)
				}
			case <-tick.C:
				o.Progress(report)
			}
		}
		for done := false; !done; {
			select {
			case <-p.done:
				done = true
			case <-tick.C:
				o.Progress(report)
			}
		}
		switch {
		case errors.Is(p.err, io.EOF):
			return nil
		case p.err != nil:
			return p.err
		case ctx.Err() != nil:
			return context.Cause(ctx) // what was in hand has no answer because of that
		}
		if report.count(p) {
			if err := o.Tell(Pair{Place: p.exchange.Place, Endpoint: p.endpoint, Found: p.found, Noise: p.noise}); err != nil {
				return err
			}
		}
	}
}

// A dispatcher reads exchanges, and sends each when its time has come and there is room.
type dispatcher struct {
	o     Options
	src   Source
	order chan *pair // all of them, in their order; closed at the end
	slots chan struct{}
	work  *sync.WaitGroup
}

// tolerance is from when on a request is late.
const tolerance = 100 * time.Millisecond

// run is the dispatcher's goroutine.
func (d *dispatcher) run(ctx context.Context) {
	defer close(d.order)
	begun := time.Now()
	table := timetable{pace: d.o.Pace}
	c := &client{o: d.o}
	for sent := int64(0); d.o.Limit == 0 || sent < d.o.Limit; {
		p := &pair{done: make(chan struct{})}
		if p.exchange, p.err = d.src.Next(); p.err == nil {
			p.err = c.check(&p.exchange)
		}
		if p.err != nil || p.exchange.Left != "" {
			close(p.done)
			if !d.put(ctx, p) || p.err != nil {
				return
			}
			continue
		}
		due := begun.Add(table.next(p.exchange.At))
		if wait(ctx, due) != nil {
			return
		}
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		p.late = d.o.Pace != Pace{} && time.Since(due) > tolerance
		if !d.put(ctx, p) {
			return
		}
		sent++
		d.work.Go(func() {
			c.settle(ctx, p)
			<-d.slots
			close(p.done)
		})
	}
}

func (d *dispatcher) put(ctx context.Context, p *pair) bool {
	select {
	case d.order <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait returns at an instant, or with ctx.
func wait(ctx context.Context, at time.Time) error {
	left := time.Until(at)
	if left <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
