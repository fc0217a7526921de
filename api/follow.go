package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"semper"
	"semper/internal/pause"
)

// emptyPause keeps the client from asking in a tight loop a server that ends its streams at once.
const emptyPause = 100 * time.Millisecond

// open begins a stream; its head has arrived when open returns.
func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	res, err := c.send(ctx, request{method: http.MethodGet, path: path, query: query, repeatable: true})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// drainLines hands each value of a JSON lines stream to each. The error is nil when the server ended
// the stream in order, that of the server when the stream ends with one.
func drainLines[T any](body io.Reader, each func(T) bool) error {
	d := json.NewDecoder(body)
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var failed errorBody
		if bytes.HasPrefix(raw, []byte(`{"error":`)) && json.Unmarshal(raw, &failed) == nil && failed.Error != nil {
			return failed.Error.err()
		}
		var value T
		if err := json.Unmarshal(raw, &value); err != nil {
			return err
		}
		if !each(value) {
			return nil
		}
	}
}

// Events implements [Service]. Followed, it survives a replaced server: it goes on after the last
// event it gave, and closes when ctx ends or the server stays away. after < 0 starts with the newest
// -after events.
func (c *Client) Events(ctx context.Context, app string, after int64, follow bool) (<-chan semper.Event, error) {
	query := func() url.Values {
		return params("app", app, "after", intParam(after), "follow", boolParam(follow))
	}
	body, err := c.open(ctx, "/v1/events", query())
	if err != nil {
		return nil, err
	}
	out := make(chan semper.Event)
	go func() {
		defer close(out)
		for {
			// The end of a broken stream is no news: the next request tells what is the matter.
			from := after
			_ = drainLines(body, func(e semper.Event) bool {
				after = e.Seq
				return give(ctx, out, e)
			})
			_ = body.Close() // only read from
			if !follow || ctx.Err() != nil || (after == from && !pause.For(ctx, emptyPause)) {
				return
			}
			if body, err = c.open(ctx, "/v1/events", query()); err != nil {
				return
			}
		}
	}()
	return out, nil
}

// Logs implements [Service]. Followed, it survives a replaced server and gives no line twice; lines
// printed meanwhile are given as far as the newest [memory] of an instance reach. It closes when ctx
// ends or the server stays away.
func (c *Client) Logs(ctx context.Context, q LogQuery) (<-chan LogLine, error) {
	query := func(tail int) url.Values {
		return params(
			"app", q.App, "env", q.Environment, "service", q.Service, "release", q.Release, "instance", q.Instance,
			"tail", intParam(int64(tail)), "follow", boolParam(q.Follow))
	}
	body, err := c.open(ctx, "/v1/logs", query(q.Tail))
	if err != nil {
		return nil, err
	}
	out := make(chan LogLine)
	go func() {
		defer close(out)
		place := newResumer()
		for {
			got := false
			// The end of a broken stream is no news: the next request tells what is the matter.
			_ = drainLines(body, func(l LogLine) bool {
				got = true
				for _, text := range place.pass(l) {
					if !give(ctx, out, LogLine{Instance: l.Instance, Release: l.Release, Line: text}) {
						return false
					}
				}
				return true
			})
			_ = body.Close() // only read from
			if !q.Follow || ctx.Err() != nil || (!got && !pause.For(ctx, emptyPause)) {
				return
			}
			place.again()
			if body, err = c.open(ctx, "/v1/logs", query(memory)); err != nil {
				return
			}
		}
	}()
	return out, nil
}

// Upgrade implements [Service]. The server that tells may itself be replaced meanwhile: a stream that
// breaks off ends with a step that says so.
func (c *Client) Upgrade(ctx context.Context, binary string) (<-chan UpgradeStep, error) {
	b, err := json.Marshal(upgradeBody{Binary: binary})
	if err != nil {
		return nil, &semper.Error{Code: semper.Internal, Message: "the request does not marshal", Err: err}
	}
	res, err := c.send(ctx, request{method: http.MethodPost, path: "/v1/upgrade", body: bytes.NewReader(b)})
	if err != nil {
		return nil, err
	}
	out := make(chan UpgradeStep)
	go func() {
		defer close(out)
		defer res.Body.Close() //nolint:errcheck // only read from
		if err := drainLines(res.Body, func(s UpgradeStep) bool { return give(ctx, out, s) }); err != nil && ctx.Err() == nil {
			give(ctx, out, UpgradeStep{Part: "control", Status: "unknown", Error: "the connection broke before the upgrade's end: " + err.Error()})
		}
	}()
	return out, nil
}

// WaitRollout implements [Service]. It survives a replaced server.
func (c *Client) WaitRollout(ctx context.Context, app, env, id, until string) (semper.Rollout, error) {
	for {
		body, err := c.open(ctx, "/v1/rollouts/"+url.PathEscape(id), params("app", app, "env", env, "until", until))
		if err != nil {
			return semper.Rollout{}, err
		}
		var last *semper.Rollout
		err = drainLines(body, func(l waitLine) bool {
			last = l.Rollout
			return last == nil
		})
		_ = body.Close() // only read from
		switch {
		case last != nil:
			return *last, nil
		case ctx.Err() != nil:
			return semper.Rollout{}, contextError(ctx)
		}
		if e, ok := errors.AsType[*semper.Error](err); ok && e.Code != semper.Unavailable {
			return semper.Rollout{}, e
		}
		// The server went away in the middle: ask the next one.
		if !pause.For(ctx, emptyPause) {
			return semper.Rollout{}, contextError(ctx)
		}
	}
}
