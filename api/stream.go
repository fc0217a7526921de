package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"semper"
)

// writePatience is how long a peer may take nothing of a stream before it counts as gone.
const writePatience = 30 * time.Second

// stream writes values one by one: JSON lines, or server-sent events to who asked for them.
type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	sse bool
}

func startStream(w http.ResponseWriter, r *http.Request) *stream {
	st := &stream{w: w, rc: http.NewResponseController(w), sse: strings.Contains(r.Header.Get("Accept"), "text/event-stream")}
	if st.sse {
		w.Header().Set("Content-Type", "text/event-stream")
	} else {
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	w.WriteHeader(http.StatusOK)
	_ = st.flush() // a peer gone already shows at the first value
	return st
}

func (st *stream) flush() error {
	// A writer that knows no deadlines (a test's recorder) has no peer that could hang.
	if err := st.rc.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return st.rc.Flush()
}

// send one value; name and id are what server-sent events carry besides.
func (st *stream) send(name, id string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if st.sse {
		if id != "" {
			id = "id: " + id + "\n"
		}
		_, err = fmt.Fprintf(st.w, "event: %s\n%sdata: %s\n\n", name, id, b)
	} else {
		_, err = st.w.Write(append(b, '\n'))
	}
	if err != nil {
		return err
	}
	return st.flush()
}

// alive shows a quiet stream to be alive.
func (st *stream) alive() error {
	sign := "\n"
	if st.sse {
		sign = ": alive\n\n"
	}
	if _, err := st.w.Write([]byte(sign)); err != nil {
		return err
	}
	return st.flush()
}

// pump sends everything from ch until it closes, the request ends or the peer is gone.
func pump[T any](ctx context.Context, st *stream, ch <-chan T, name string, id func(T) string) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		var err error
		select {
		case value, ok := <-ch:
			if !ok {
				return
			}
			err = st.send(name, id(value), value)
		case <-tick.C:
			err = st.alive()
		case <-ctx.Done():
			return
		}
		if err != nil {
			return // the peer is gone: nobody to tell
		}
	}
}

// number reads a whole number from the query; absent is 0.
func number(r *http.Request, key string) (int64, error) {
	s := r.FormValue(key)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, &semper.Error{Code: semper.Invalid, Message: fmt.Sprintf("%s=%q is not a whole number", key, s)}
	}
	return n, nil
}

func follows(r *http.Request) bool {
	b, err := strconv.ParseBool(r.FormValue("follow"))
	return err == nil && b
}

// events: after < 0 asks for the newest -after events. A reconnecting EventSource says where it was.
func (v *server) events(w http.ResponseWriter, r *http.Request) {
	after, err := number(r, "after")
	if err != nil {
		v.fail(w, r, err)
		return
	}
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		after = last
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var ch <-chan semper.Event
	if after < 0 {
		ch, err = Recent(ctx, v.s, r.FormValue("app"), int(max(after, -10_000)*-1), follows(r))
	} else {
		ch, err = v.s.Events(ctx, r.FormValue("app"), after, follows(r))
	}
	if err != nil {
		v.fail(w, r, err)
		return
	}
	pump(ctx, startStream(w, r), ch, "event", func(e semper.Event) string { return strconv.FormatInt(e.Seq, 10) })
}

func (v *server) logs(w http.ResponseWriter, r *http.Request) {
	tail, err := number(r, "tail")
	if err != nil {
		v.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ch, err := v.s.Logs(ctx, LogQuery{
		App: r.FormValue("app"), Environment: r.FormValue("env"), Service: r.FormValue("service"),
		Release: r.FormValue("release"), Instance: r.FormValue("instance"),
		Tail: int(tail), Follow: follows(r),
	})
	if err != nil {
		v.fail(w, r, err)
		return
	}
	pump(ctx, startStream(w, r), ch, "line", func(LogLine) string { return "" })
}

func (v *server) upgrade(w http.ResponseWriter, r *http.Request) {
	var b upgradeBody
	if err := read(r, &b); err != nil {
		v.fail(w, r, err)
		return
	}
	ch, err := v.s.Upgrade(r.Context(), b.Binary)
	if err != nil {
		v.fail(w, r, err)
		return
	}
	pump(r.Context(), startStream(w, r), ch, "step", func(UpgradeStep) string { return "" })
}

// waitRollout keeps the connection visibly alive while it waits, and ends it with one value.
func (v *server) waitRollout(w http.ResponseWriter, r *http.Request) {
	type result struct {
		rollout semper.Rollout
		err     error
	}
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan result, 1)
	go func() {
		ro, err := v.s.WaitRollout(ctx, r.FormValue("app"), r.FormValue("env"), r.PathValue("id"), r.FormValue("until"))
		done <- result{ro, err}
	}()
	ended := false
	defer func() {
		cancel()
		if !ended {
			<-done
		}
	}()
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	var st *stream // none until the first sign of life, so that a prompt error keeps its status
	for {
		select {
		case res := <-done:
			ended = true
			if res.err != nil && st == nil {
				v.fail(w, r, res.err)
				return
			}
			if st == nil {
				st = startStream(w, r)
			}
			if res.err != nil {
				wire := toWire(res.err)
				_ = st.send("error", "", errorBody{&wire}) // the peer is gone: nobody to tell
				return
			}
			_ = st.send("rollout", "", waitLine{&res.rollout}) // the peer is gone: nobody to tell
			return
		case <-tick.C:
			if st == nil {
				st = startStream(w, r)
			}
			if st.alive() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// Recent sends the newest n events of app in order (of all apps where app is empty) and, where follow
// is set, those that come after them. The channel closes as that of [Service.Events] does.
func Recent(ctx context.Context, s Service, app string, n int, follow bool) (<-chan semper.Event, error) {
	past, err := s.Events(ctx, app, 0, false)
	if err != nil {
		return nil, err
	}
	ring := make([]semper.Event, 0, n)
	next, last := 0, int64(0) // next: where the oldest of a full ring is
	for e := range past {
		last = e.Seq
		switch {
		case n == 0:
		case len(ring) < n:
			ring = append(ring, e)
		default:
			ring[next] = e
			next = (next + 1) % n
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var more <-chan semper.Event
	if follow {
		if more, err = s.Events(ctx, app, last, true); err != nil {
			return nil, err
		}
	}
	out := make(chan semper.Event)
	go func() {
		defer close(out)
		for i := range ring {
			if !give(ctx, out, ring[(next+i)%len(ring)]) {
				return
			}
		}
		if more == nil {
			return
		}
		for e := range more {
			if !give(ctx, out, e) {
				return
			}
		}
	}()
	return out, nil
}

// give sends v unless ctx ends first.
func give[T any](ctx context.Context, ch chan<- T, v T) bool {
	select {
	case ch <- v:
		return true
	case <-ctx.Done():
		return false
	}
}
