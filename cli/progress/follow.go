package progress

import (
	"context"
	"time"

	"semper"
	"semper/api"
)

// Redraw is how often a terminal shows the time going by.
const Redraw = 250 * time.Millisecond

// following is one rollout being watched to its end by one goroutine.
type following struct {
	s        *api.Client
	p        Progress
	app, env string
	began    semper.Rollout
	seq      int64 // of the last event shown
}

type waited struct {
	rollout semper.Rollout
	err     error
}

// Follow shows by p what becomes of a rollout of an app in env, until it has come to until or ended, and says how it stands then. What
// its migration prints is shown too. The end of ctx ends the watching only.
func Follow(ctx context.Context, s *api.Client, p Progress, app, env, until string, began semper.Rollout) (semper.Rollout, error) {
	f := &following{s: s, p: p, app: app, env: env, began: began}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan waited, 1)
	go func() { // ends with inner; run takes its answer
		r, err := s.WaitRollout(inner, app, env, began.ID, until)
		done <- waited{r, err}
	}()
	res := f.run(inner, done)
	if res.err == nil {
		f.rest(inner)
	}
	return res.rollout, res.err
}

// run shows events and states as they come, until the wait is over.
func (f *following) run(ctx context.Context, done <-chan waited) waited {
	events, err := f.s.Events(ctx, f.app, -200, true)
	if err != nil {
		events = nil // the wait tells what is the matter
	}
	tick := time.NewTicker(Redraw)
	defer tick.Stop()
	f.look(ctx)
	var printed <-chan api.LogLine // by the migration, from its hold on
	for {
		select {
		case res := <-done:
			f.drain(printed)
			return res
		case l, ok := <-printed:
			if !ok {
				printed = nil
				continue
			}
			f.p.Output(l)
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			f.show(e)
			if e.Rollout == f.began.ID && migrates(e) {
				f.drain(printed)
				printed = f.output(ctx, e.Instance)
			}
			f.look(ctx)
		case <-tick.C:
			f.look(ctx)
		}
	}
}

// migrates reports whether e is where a migration, or what undoes it, begins.
func migrates(e semper.Event) bool {
	return e.Kind == "rollout."+string(semper.RolloutMigrate) || e.Kind == "rollout."+string(semper.RolloutUndo)
}

// output is what the instance prints that a migration runs in. Without it the rollout goes on all the same.
func (f *following) output(ctx context.Context, id semper.InstanceID) <-chan api.LogLine {
	lines, err := f.s.Logs(ctx, api.LogQuery{App: f.app, Environment: f.env, Instance: string(id), Follow: true, Tail: 1 << 20})
	if err != nil {
		return nil
	}
	return lines
}

// drain shows the lines that the end overtook, as far as they are there.
func (f *following) drain(lines <-chan api.LogLine) {
	for lines != nil {
		select {
		case l, ok := <-lines:
			if !ok {
				return
			}
			f.p.Output(l)
		default:
			return
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
