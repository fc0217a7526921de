package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/progress"
)

// following is one rollout that a command watches to its end.
type following struct {
	c        *command
	s        *api.Client
	app, env string
	began    semper.Rollout
}

// follow shows a rollout until it has come to until or ended, and says how it ended. The end of ctx
// ends the watching only.
func (c *command) follow(ctx context.Context, s *api.Client, p progress.Progress, app, env, until string, began semper.Rollout) (semper.Rollout, error) {
	f := &following{c: c, s: s, app: app, env: env, began: began}
	defer p.Leave()
	r, err := progress.Follow(ctx, s, p, app, env, until, began)
	if err != nil && ctx.Err() != nil {
		return began, f.detached(ctx)
	}
	if err != nil {
		return began, err
	}
	code := f.code(r)
	p.Result(r, code)
	if code != exitOK {
		return r, f.failure(ctx, code, r)
	}
	return r, nil
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
		e.block = append(e.block, "now:   "+f.instead(ctx, r))
	} else {
		e.block = append(e.block, "now:   nothing serves; there was no release before")
	}
	return e
}

// instead says what serves, and what clients met of the release that does not.
func (f *following) instead(ctx context.Context, r semper.Rollout) string {
	if r.State == semper.RolloutRolledBack || r.State == semper.RolloutRollingBack {
		return fmt.Sprintf("%s serves again", r.From)
	}
	if r.Trial == nil {
		return fmt.Sprintf("%s serves as before, nothing was lost", r.From)
	}
	j, err := f.s.Judgement(ctx, f.app, f.env, r.ID)
	if err != nil {
		return fmt.Sprintf("%s serves as before", r.From)
	}
	return fmt.Sprintf("%s serves as before%s", r.From, draw.Met(j))
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
