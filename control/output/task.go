package output

import (
	"context"
	"fmt"
	"sync"

	"semper"
	"semper/api"
)

// Printing is how far a task is with printing.
type Printing struct {
	Path    string // of its standard output; empty while there is none, or none any more
	Ended   bool   // nothing more will come
	Changed <-chan struct{}
}

// Task sends what a task has printed after the offsets, standard output and standard error each in its order; with follow also what it prints
// from then on, until it has ended. It closes then.
func (r Reader) Task(ctx context.Context, id string, from api.TaskOffsets, follow bool, look func() Printing) (<-chan api.TaskOutput, error) {
	if p := look(); p.Ended && p.Path == "" {
		return nil, &semper.Error{
			Code: semper.NotFound, Op: "task logs", Message: fmt.Sprintf("what %s printed is not kept any more, or it never began", id),
			Hint: "semper task show " + id + " has how it ended, and its last lines where it failed",
		}
	}
	out := make(chan api.TaskOutput)
	if err := r.Stream(ctx, "output of "+id, func(ctx context.Context) {
		defer close(out)
		r.task(ctx, from, follow, look, out)
	}); err != nil {
		return nil, err
	}
	return out, nil
}

// task waits for the file, and reads both until the task has ended and nothing is left to be read.
func (r Reader) task(ctx context.Context, from api.TaskOffsets, follow bool, look func() Printing, out chan<- api.TaskOutput) {
	p := look()
	for ; p.Path == ""; p = look() {
		if p.Ended || !follow {
			return
		}
		select {
		case <-p.Changed:
		case <-ctx.Done():
			return
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	life, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	for _, f := range []struct {
		path string
		errs bool
		from int64
	}{{p.Path, false, from.Out}, {errorsOf(p.Path), true, from.Err}} {
		wg.Add(1)
		if r.Stream(ctx, "output", func(ctx context.Context) {
			defer wg.Done()
			r.bytes(ctx, life, f.path, f.errs, f.from, out)
		}) != nil {
			wg.Done() // the tree is ending, and ctx with it
		}
	}
	for follow && !p.Ended {
		select {
		case <-p.Changed:
			p = look()
		case <-ctx.Done():
			return
		}
	}
}

func (r Reader) bytes(ctx, life context.Context, path string, errs bool, from int64, out chan<- api.TaskOutput) {
	ch, err := r.Machine.Bytes(ctx, life, path, from)
	if err != nil {
		r.Log.Warn("output not read", "file", path, "error", err)
		return
	}
	for c := range ch {
		select {
		case out <- api.TaskOutput{Stderr: errs, Data: c.Data, End: c.End}:
		case <-ctx.Done():
			return
		}
	}
}
