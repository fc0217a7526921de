package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"semper/queue"
)

// Of is the queue of a service's callbacks.
func Of(s queue.Service) queue.Service {
	s.Service += ".callbacks"
	return s
}

// Policy is how callbacks are tried: for about a day.
func Policy() queue.Policy {
	return queue.Policy{
		MaxAttempts: 36, Backoff: queue.Backoff{Base: time.Second, Max: time.Hour}, RetryOn: []string{"error", "1xx", "3xx", "4xx", "5xx"},
		Lease: 30 * time.Second, MaxBody: 3 * MaxBody, // base64, or escapes
	}
}

// schemeField has the scheme of a callback's URL in the job that it is; host and target are those of its request. So whoever looks at
// the job sees no more of the URL than of any other.
const schemeField = "Semper-Scheme"

const (
	pause = 500 * time.Millisecond // between two looks for ends
	page  = 100                    // ends at once
)

// Follow makes a job of to from each end of a job of from that is to be told, until ctx ends.
func Follow(ctx context.Context, from queue.Viewer, ends queue.Teller, to queue.Producer, log *slog.Logger) {
	f := follower{from, ends, to}
	t := time.NewTicker(pause)
	defer t.Stop()
	var said string
	for {
		err := f.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			said = ""
		case err.Error() != said: // once, while it lasts
			said = err.Error()
			log.Warn("clients are told later how their requests ended", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

type follower struct {
	from queue.Viewer
	ends queue.Teller
	to   queue.Producer
}

// round makes the jobs of all ends that there are now. An end is forgotten only after its job is durable.
func (f follower) round(ctx context.Context) error {
	var after queue.ID
	for {
		ends, err := f.ends.Untold(ctx, after, page)
		if err != nil || len(ends) == 0 {
			return err
		}
		for i, e := range ends {
			if err := f.make(ctx, e); err != nil {
				return errors.Join(err, f.ends.Told(ctx, ends[:i]...))
			}
		}
		if err := f.ends.Told(ctx, ends...); err != nil {
			return err
		}
		after = ends[len(ends)-1].ID
	}
}

// make makes the job of an end. A job that is no longer remembered, or goes on by now, is told by a later end or not at all.
func (f follower) make(ctx context.Context, e queue.End) error {
	s, err := f.from.Get(ctx, e.ID)
	if errors.Is(err, queue.ErrNotFound) || err == nil && !s.State.Terminal() {
		return nil
	}
	if err != nil {
		return err
	}
	u, err := url.Parse(e.To)
	if err != nil {
		return nil //nolint:nilerr // it was one when it was accepted: whoever changed it wants nobody told
	}
	body, err := describe(s)
	if err != nil {
		return fmt.Errorf("describe %s: %w", e.ID, err)
	}
	_, err = f.to.Enqueue(ctx, queue.Job{
		Key: u.Host, DedupKey: fmt.Sprintf("%s %d %s", e.ID, attempts(s), s.State),
		Request: queue.Request{Method: http.MethodPost, Target: u.RequestURI(), Host: u.Host, Body: body,
			Header: http.Header{"Content-Type": {"application/json"}, schemeField: {strings.ToLower(u.Scheme)}}},
	})
	if errors.Is(err, queue.ErrKeyReused) { // told already, in the words of another semper
		err = nil
	}
	return err
}
