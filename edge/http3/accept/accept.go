package accept

import (
	"context"
	"log/slog"

	"semper/edge"
	"semper/edge/http3"
	"semper/supervise"
)

// Streams is how many requests a connection may have under way.
const Streams = 100

// Start begins a part that takes port's connections for e, on terms that have a TLS. It calls begun, if that is not nil, each
// time when the port listens and before a connection is taken.
func Start(e *edge.Edge, port *http3.Port, terms edge.Terms, log *slog.Logger, begun func() error) supervise.StartFunc {
	terms = terms.Whole()
	return func(ctx context.Context) (supervise.Child, error) {
		l, err := port.Listen(http3.Options{
			Handler: e, TLS: terms.TLS, Limits: terms.Limits(), Streams: Streams, Connections: terms.MaxConns,
			Head: terms.Head, Idle: terms.Idle, Log: log,
		})
		if err == nil && begun != nil {
			err = begun()
		}
		if err != nil {
			return nil, err
		}
		return supervise.Serve(func(ctx context.Context) error { return e.ServeUntil(ctx, l, terms) })(ctx)
	}
}
