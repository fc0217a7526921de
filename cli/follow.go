package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/progress"
)

// redraw is how often a terminal shows the time going by.
const redraw = 250 * time.Millisecond

// following is one rollout being watched to its end by one goroutine.
type following struct {
	c        *command
	s        *api.Client
	p        progress.Progress
	app, env string
	began    semper.Rollout
	seq      int64 // of the last event shown
}

type waited struct {
	rollout semper.Rollout
	err     error
}

// follow shows a rollout until it has come to until or ended, and says how it ended. The end of ctx
// ends the watching only.
func (c *command) follow(ctx context.Context, s *api.Client, p progress.Progress, app, env, until string, began semper.Rollout) (semper.Rollout, error) {
	f := &following{c: c, s: s, p: p, app: app, env: env, began: began}
	defer p.Leave()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan waited, 1)
	go func() { // ends with inner; run takes its answer
		r, err := s.WaitRollout(inner, app, env, began.ID, until)
		done <- waited{r, err}
	}()
	res := f.run(inner, done)
	if res.err != nil && ctx.Err() != nil {
		return began, f.detached(ctx)
	}
	if res.err != nil {
		return began, res.err
	}
	f.rest(inner)
	code := f.code(res.rollout)
	p.Result(res.rollout, code)
	if code != exitOK {
		return res.rollout, f.failure(inner, code, res.rollout)
	}
	return res.rollout, nil
}

// run shows events and states as they come, until the wait is over.
func (f *following) run(ctx context.Context, done <-chan waited) waited {
	events, err := f.s.Events(ctx, f.app, -200, true)
	if err != nil {
		events = nil // the wait tells what is the matter
	}
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	f.look(ctx)
	for {
		select {
		case res := <-done:
			return res
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			f.show(e)
			f.look(ctx)
		case <-tick.C:
			f.look(ctx)
		}
	}
}

// show an event if it belongs to this rollout.
func (f *following) show(e semper.Event) {
	if e.Seq <= f.seq {
		return
	}
	f.seq = e.Seq
	ours := e.Rollout == f.began.ID || (e.Rollout == "" && e.Instance != "" && !e.At.Before(f.began.StartedAt))
	if ours && e.App == f.app && (e.Environment == "" || e.Environment == f.env) {
		f.p.Event(e)
	}
}

func (f *following) look(ctx context.Context) {
	if !f.p.WantsStatus() {
		return
	}
	if st, err := f.s.Status(ctx, f.app, f.env); err == nil {
		f.p.Status(st)
	}
}

// rest shows the events that the end overtook.
func (f *following) rest(ctx context.Context) {
	after := f.seq
	if after == 0 {
		after = -200
	}
	events, err := f.s.Events(ctx, f.app, after, false)
	if err != nil {
		return // the end itself is known
	}
	for e := range events {
		f.show(e)
	}
	f.look(ctx)
}

// code of a rollout's end: 3 promises that the release that served still does.
func (f *following) code(r semper.Rollout) int {
	switch {
	case r.State.Live(), r.State == semper.RolloutSuperseded, onPause(r):
		return exitOK
	case r.From != "":
		return exitRejected
	}
	return exitFailed
}

// detached says what goes on without this command, and how to act on it.
func (f *following) detached(ctx context.Context) error {
	on := draw.Scope(f.app, f.env)
	e := &exit{code: exitInterrupted, err: fmt.Errorf("detached: %s %s (%s → %s) goes on", f.began.Kind, f.began.ID, cmp.Or(string(f.began.From), "nothing"), f.began.To)}
	e.block = []string{
		"  watch it:                         semper status -w" + on,
		"  go on without waiting:            semper promote" + on,
		"  turn it back:                     semper abort" + on + ", once it is live: semper rollback" + on,
	}
	if errors.Is(context.Cause(ctx), errTimeout) {
		e.code, e.hint = exitTimeout, "semper status -w"+on
		e.err = fmt.Errorf("not there within %s: %s %s (%s → %s) goes on", f.c.timeout, f.began.Kind, f.began.ID, cmp.Or(string(f.began.From), "nothing"), f.began.To)
	}
	return e
}

// failure is the block a failed rollout ends with: what, why, the evidence, what serves now, what to do next.
func (f *following) failure(ctx context.Context, code int, r semper.Rollout) error {
	p := f.c.paint(f.c.env.Stderr)
	what := fmt.Sprintf("%s %s of %s: %s did not go live", r.Kind, r.ID, f.app, r.To)
	if r.State == semper.RolloutRolledBack || r.State == semper.RolloutRollingBack {
		what = fmt.Sprintf("%s %s of %s: %s was turned back", r.Kind, r.ID, f.app, r.To)
	}
	e := &exit{code: code, err: errors.New(what)}
	e.block = append(e.block, "why:   "+draw.OneLine(cmp.Or(r.Reason, string(r.State))))
	if len(r.Tail) > 0 {
		e.block = append(e.block, fmt.Sprintf("last lines of %s:", cmp.Or(string(r.Instance), "the instance")))
		for _, l := range last(r.Tail, 20) {
			e.block = append(e.block, p.Dim("  │ ")+draw.Safe(l))
		}
	}
	on := draw.Scope(f.app, f.env)
	e.hint = "repair it and deploy again; semper events" + on + " has the whole story"
	if id := f.crash(ctx, r); id != "" {
		e.hint = "semper crash show " + id + " tells all about that end"
	} else if r.Instance != "" {
		e.hint = fmt.Sprintf("semper logs%s --instance %s", on, r.Instance)
	}
	if code == exitRejected {
		e.block = append(e.block, fmt.Sprintf("now:   %s serves as before, nothing was lost", r.From))
	} else {
		e.block = append(e.block, "now:   nothing serves; there was no release before")
	}
	return e
}

// crash is the newest report of the rollout's release, "" for none.
func (f *following) crash(ctx context.Context, r semper.Rollout) string {
	list, err := f.s.Crashes(ctx, f.app)
	if err != nil {
		return "" // the failure is told without it
	}
	var newest semper.CrashReport
	for _, c := range list {
		if c.Actor == nil && c.Release == r.To && !c.At.Before(r.StartedAt) && c.At.After(newest.At) {
			newest = c
		}
	}
	return newest.ID
}

func last[T any](l []T, n int) []T { return l[max(0, len(l)-n):] }
