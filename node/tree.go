package node

import (
	"context"
	"errors"
	"log/slog"
	"path"

	"semper/actor"
	"semper/actor/observer"
	"semper/supervise"
)

// runTree starts the supervisor that a part of semper consists of, with everything below it. It shows the tree and the
// crashes in it to whoever SEMPER_TREE names, by a child "observer" that comes first and ends last; crashes are logged
// too. The end of ctx breaks off the start and
// nothing later: who starts a tree stops it.
func runTree(ctx context.Context, o PartOptions, f supervise.Flags, specs []supervise.ChildSpec) (*supervise.Supervisor, error) {
	u := observer.NewUplink(observer.Options{Program: "semper " + o.ID})
	ctx = actor.WithReporter(ctx, crashLog(o.Log))
	report := u.Reporter(actor.ReporterOf(ctx)) // what Run gives those below
	return u.Run(ctx, f, specs, supervise.Options{Observe: observer.Services(report, eventLog(o.Log))})
}

// subtree is the start of a supervisor below one of runTree. Its name is its path in the tree: events and crash reports
// carry it.
func subtree(log *slog.Logger, f supervise.Flags, specs []supervise.ChildSpec, processes ...string) supervise.StartFunc {
	return func(ctx context.Context) (supervise.Child, error) {
		return supervise.Start(actor.Under(ctx, path.Base(f.Name)), f, specs, observe(ctx, log, processes...))
	}
}

// observe is what a supervisor below one of runTree gets: its events are logged, and a service that crashes leaves a
// report. ctx is that of its StartFunc. processes are the ids of its children that are actors, which report themselves.
func observe(ctx context.Context, log *slog.Logger, processes ...string) supervise.Options {
	report := actor.ReporterOf(ctx)
	if report == nil {
		report = crashLog(log)
	}
	return supervise.Options{Observe: observer.Services(report, eventLog(log), processes...)}
}

// crashLog logs crash reports. What was in a mailbox or a state may be a secret and stays out of the log.
func crashLog(log *slog.Logger) actor.Reporter {
	return func(c actor.CrashReport) {
		log.Error("a part crashed", "part", c.Label, "process", c.PID.String(), "reason", c.Reason.String(),
			"ancestors", c.Ancestors, "mailbox", c.Mailbox, "messages", c.Messages, "uptime", c.Uptime, "stack", c.Stack)
	}
}

// eventLog logs what a supervisor had to do. Starts and ordered ends are the normal course.
func eventLog(log *slog.Logger) func(supervise.Event) {
	return func(e supervise.Event) {
		level := slog.LevelDebug
		switch {
		case e.Kind == supervise.GaveUp:
			level = slog.LevelError
		case e.Kind == supervise.Ended && e.Reason.Abnormal(),
			e.Kind == supervise.StartFailed && !errors.Is(e.Err, supervise.ErrIgnore):
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, e.String(), "child", e.Child, "supervisor", e.Supervisor)
	}
}
