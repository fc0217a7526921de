package background

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"semper/supervise"
)

// Tree is the tree of one edge. Its methods are safe for concurrent use.
type Tree struct {
	Root            *supervise.Supervisor
	Lines, Backends Family

	log *slog.Logger
}

// Parts are what runs for as long as the edge does. Each returns when its context ends.
type Parts struct{ Tend, Log, Traffic, Strain, Shadow func(context.Context) error }

// Family are children of one kind that come and go. They are nil only before the first start.
type Family = atomic.Pointer[supervise.Dynamic]

const (
	faults      = 5 // restarts within faultPeriod
	faultPeriod = 10 * time.Second
)

// gently spaces out the restarts of a part that breaks again and again.
var gently = supervise.Backoff{Min: 10 * time.Millisecond, Max: time.Second, Jitter: 0.2, Reset: faultPeriod}

// Start begins the tree of the edge called edge, of which log hears what could not be started, and observe everything.
func Start(edge string, p Parts, log *slog.Logger, observe func(supervise.Event)) (*Tree, error) {
	b, name := &Tree{log: log}, edge+"/background"
	o := supervise.Options{Observe: observe}
	many := func(id string, in *Family) supervise.ChildSpec {
		f := supervise.DynamicFlags{Name: name + "/" + id, Intensity: faults, Period: faultPeriod, GiveUp: supervise.Persist}
		return supervise.ChildSpec{ID: id, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
			d, err := supervise.StartDynamic(ctx, f, o)
			if err != nil {
				return nil, err
			}
			in.Store(d)
			return d, nil
		}}
	}
	root, err := supervise.Start(context.Background(),
		supervise.Flags{Name: name, Intensity: faults, Period: faultPeriod},
		[]supervise.ChildSpec{
			{ID: "tend", Start: supervise.Serve(p.Tend), Shutdown: supervise.Infinity, Backoff: gently},
			{ID: "seeing", Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
				return supervise.Start(ctx, supervise.Flags{Name: name + "/seeing", Intensity: faults, Period: faultPeriod, GiveUp: supervise.Persist},
					[]supervise.ChildSpec{
						{ID: "log", Start: supervise.Serve(p.Log), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "traffic", Start: supervise.Serve(p.Traffic), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "strain", Start: supervise.Serve(p.Strain), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "shadow", Start: supervise.Serve(p.Shadow), Shutdown: supervise.Infinity, Backoff: gently},
					}, o)
			}},
			many("lines", &b.Lines),
			many("backends", &b.Backends),
		}, o)
	b.Root = root
	return b, err
}

// Stop returns when nothing in the background runs any more.
func (b *Tree) Stop() error { return b.Root.Stop(context.Background()) }

// Spawn runs f in the background until it returns, and again after a fault. It reports false when the edge is closed;
// else Close ends the context of f and waits for it. It waits for no lock of the edge, so that any may be held.
func (b *Tree) Spawn(in *Family, id string, f func(context.Context)) bool {
	_, err := in.Load().StartChild(context.Background(), supervise.ChildSpec{
		ID: id, Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently, Start: once(f),
	})
	return b.spawned(id, err)
}

// Drain is Spawn for the one drain, which has no second life. Where the edge is closed, whoever waits for the drain
// sees that.
func (b *Tree) Drain(f func(context.Context)) {
	err := b.Root.StartChild(context.Background(), supervise.ChildSpec{
		ID: "drain", Restart: supervise.Temporary, Shutdown: supervise.Infinity, Start: once(f),
	})
	b.spawned("drain", err)
}

func (b *Tree) spawned(id string, err error) bool {
	if err != nil && !errors.Is(err, supervise.ErrStopping) {
		b.log.Error("not started", "part", id, "error", err)
	}
	return err == nil
}

func once(f func(context.Context)) supervise.StartFunc {
	return supervise.Serve(func(ctx context.Context) error {
		f(ctx)
		return nil
	})
}
