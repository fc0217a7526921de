package certs

import (
	"context"
	"fmt"
	"time"

	"semper/supervise"
)

// gently spaces out the restarts of a part that breaks again and again.
var gently = supervise.Backoff{Min: time.Second, Max: time.Minute, Jitter: 0.2, Reset: 10 * time.Minute}

// start begins the background, which is empty. What breaks there is tried again for ever, ever later: the certificates there are
// go on being served without it.
func (m *Manager) start() (err error) {
	m.background, err = supervise.StartDynamic(context.Background(),
		supervise.DynamicFlags{Name: "certificates", Intensity: 5, Period: 10 * time.Second, GiveUp: supervise.Persist},
		supervise.Options{Observe: m.o.Supervised})
	if err != nil {
		return fmt.Errorf("TLS of the edge: %w", err)
	}
	return nil
}

// spawn runs f until it returns, and again after a fault. It returns soon after the end of m.ctx, which the end of the supervisor
// brings too. m.mu may be held.
func (m *Manager) spawn(id string, f func()) {
	_, err := m.background.StartChild(context.Background(), supervise.ChildSpec{
		ID: id, Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently,
		Start: supervise.Serve(func(ctx context.Context) error {
			defer context.AfterFunc(ctx, m.stop)()
			f()
			return nil
		}),
	})
	if err != nil && m.ctx.Err() == nil {
		m.log.Error("not started", "part", id, "error", err)
	}
}

func (m *Manager) every(d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}

// tell is the end of an error in the background.
func (m *Manager) tell(err error) {
	if err != nil && m.ctx.Err() == nil {
		m.log.Error("TLS of the edge stays as it is", "error", err)
	}
}

// Background is the supervisor of all that a Manager does beside handshakes: one child that turns the keys of tickets, one that looks at files, and one
// for each name that an authority gives certificates for. It is to be shown, or to stand in a tree of the caller's, as a child
// that runs already. It ends with Close; whoever stops it ends the Manager's work too.
func (m *Manager) Background() *supervise.Dynamic { return m.background }
