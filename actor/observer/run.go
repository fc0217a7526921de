package observer

import (
	"context"

	"semper/actor"
	"semper/supervise"
)

// ID is that of the child that Run adds.
const ID = "observer"

// Run is supervise.Start for a program whose tree and crash reports semper is to show: it adds a child, the first, that
// talks to semper, and makes the crash reports of all that is started below go there. They go on to the Reporter in ctx
// too, or to log/slog. Without semper it is supervise.Start and that child, which then waits.
//
// The child never ends by itself, so that it costs the others nothing. The name of the flags is the first element of
// every path.
func Run(ctx context.Context, f supervise.Flags, specs []supervise.ChildSpec) (*supervise.Supervisor, error) {
	return NewUplink(Options{}).Run(ctx, f, specs, supervise.Options{})
}

// Run is the function Run with settings.
func (u *Uplink) Run(ctx context.Context, f supervise.Flags, specs []supervise.ChildSpec, o supervise.Options) (*supervise.Supervisor, error) {
	all := make([]supervise.ChildSpec, 0, len(specs)+1)
	all = append(all, supervise.ChildSpec{
		ID: ID, Start: supervise.Serve(u.serve), Restart: supervise.Transient, Shutdown: 2 * goodbyeTime,
	})
	all = append(all, specs...)
	if f.Name != "" {
		ctx = actor.Under(ctx, f.Name)
	}
	ctx = actor.WithReporter(ctx, u.Reporter(actor.ReporterOf(ctx)))
	s, err := supervise.Start(ctx, f, all, o)
	if err != nil {
		return nil, err
	}
	u.show(s)
	return s, nil
}
