package actor

import "context"

type pathKey struct{}

// Under puts an element into the path of everything that is started with the context, and of what those start in turn.
// A supervisor's StartFunc that starts a supervisor below it does well to say the name of that one:
//
//	func(ctx context.Context) (supervise.Child, error) {
//		return supervise.Start(actor.Under(ctx, "eu"), flags, children, supervise.Options{})
//	}
func Under(ctx context.Context, name string) context.Context {
	if above, ok := ctx.Value(pathKey{}).(string); ok {
		name = above + "/" + name
	}
	return context.WithValue(ctx, pathKey{}, name)
}

// Path is where the process belongs: what Under said, outermost first, and the label, joined by "/". Its successors,
// in this program or the next, have the same; two processes with the same label under the same names do too.
func (id PID) Path() string {
	if id.p == nil {
		return ""
	}
	return id.p.path()
}

func (p *process) path() string {
	if above, ok := p.base.Value(pathKey{}).(string); ok {
		return above + "/" + p.label
	}
	return p.label
}

// Number tells the process from every other of this run of the program; zero is nobody.
func (id PID) Number() uint64 {
	if id.p == nil {
		return 0
	}
	return id.p.id
}

// Log writes the report to log/slog, as is done without a Reporter.
func (c CrashReport) Log() { c.log() }

// ReporterOf is the Reporter that WithReporter put into a context; nil when there is none. It is for one that takes
// crash reports and passes them on.
func ReporterOf(ctx context.Context) Reporter {
	f, _ := ctx.Value(reporterKey{}).(Reporter)
	return f
}
