package edge

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"semper/supervise"
)

// background is everything that works beside the requests, as a supervision tree:
//
//	edge-1/background (one for one)
//	├─ tend       gives up backends, cuts what is past its instant; always there
//	├─ seeing
//	│  ├─ log     writes the access log
//	│  ├─ traffic looks every second at what was counted, for those who ask about the last minute
//	│  ├─ strain  looks how much memory is left
//	│  └─ shadow  compares answers to copies of requests
//	├─ lines      one child for each pool that somebody waits for: package lane
//	├─ backends   one child for each process that is watched, and for each backend that is probed
//	└─ drain      the one drain, while it lasts
//
// A fault in one is repaired by starting it again: each begins by looking at the state of the edge, which lives
// elsewhere, and locks are given back by defer. So none needs another to be restarted with it.
//
// Seeing, lines and backends persist: what breaks again and again is tied to one disk, pool or instance, and is tried again
// after at most a second while all others go on. Tend is about the whole edge. When it fails six times within ten seconds,
// which its back-off makes the first second, the state itself is broken: the tree ends, and who started the edge has to
// replace it. The drain is temporary: however it ends, it has said so (Edge.Done), and whoever asked for it closes the
// edge.
//
// Nothing is ever killed, because Close promises that everything has ended.
type background struct {
	root            *supervise.Supervisor
	lines, backends family
}

// family are children of one kind that come and go. They are nil only before the first start.
type family = atomic.Pointer[supervise.Dynamic]

const (
	faults      = 5 // restarts within faultPeriod
	faultPeriod = 10 * time.Second
)

// gently spaces out the restarts of a part that breaks again and again.
var gently = supervise.Backoff{Min: 10 * time.Millisecond, Max: time.Second, Jitter: 0.2, Reset: faultPeriod}

func startBackground(e *Edge) (*background, error) {
	b, name := new(background), e.o.ID+"/background"
	o := supervise.Options{Observe: e.o.Observe}
	many := func(id string, in *family) supervise.ChildSpec {
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
			{ID: "tend", Start: supervise.Serve(e.loop), Shutdown: supervise.Infinity, Backoff: gently},
			{ID: "seeing", Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
				return supervise.Start(ctx, supervise.Flags{Name: name + "/seeing", Intensity: faults, Period: faultPeriod, GiveUp: supervise.Persist},
					[]supervise.ChildSpec{
						{ID: "log", Start: supervise.Serve(e.witness.ServeLog), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "traffic", Start: supervise.Serve(e.watchTraffic), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "strain", Start: supervise.Serve(e.strain.Watch), Shutdown: supervise.Infinity, Backoff: gently},
						{ID: "shadow", Start: supervise.Serve(e.mirrors.Serve), Shutdown: supervise.Infinity, Backoff: gently},
					}, o)
			}},
			many("lines", &b.lines),
			many("backends", &b.backends),
		}, o)
	b.root = root
	return b, err
}

// stop returns when nothing in the background runs any more.
func (b *background) stop() error { return b.root.Stop(context.Background()) }

// spawn runs f in the background until it returns, and again after a fault. It reports false when the edge is closed;
// else Close ends the context of f and waits for it. It waits for no lock of the edge, so that any may be held.
func (e *Edge) spawn(in *family, id string, f func(context.Context)) bool {
	_, err := in.Load().StartChild(context.Background(), supervise.ChildSpec{
		ID: id, Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently, Start: once(f),
	})
	return e.spawned(id, err)
}

// spawnDrain is spawn for the one drain, which has no second life. Where the edge is closed, whoever waits for the drain
// sees that.
func (e *Edge) spawnDrain(f func(context.Context)) {
	err := e.background.root.StartChild(context.Background(), supervise.ChildSpec{
		ID: "drain", Restart: supervise.Temporary, Shutdown: supervise.Infinity, Start: once(f),
	})
	e.spawned("drain", err)
}

func (e *Edge) spawned(id string, err error) bool {
	if err != nil && !errors.Is(err, supervise.ErrStopping) {
		e.log.Error("not started", "part", id, "error", err)
	}
	return err == nil
}

func once(f func(context.Context)) supervise.StartFunc {
	return supervise.Serve(func(ctx context.Context) error {
		f(ctx)
		return nil
	})
}

// Background is the supervisor of all that works beside the requests, to be shown or to stand in a tree of the
// caller's, as a child that runs already. It ends with Close, or when it has given up: then the edge is to be closed and
// replaced by another. Whoever stops it closes the edge too.
func (e *Edge) Background() *supervise.Supervisor { return e.background.root }
