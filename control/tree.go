package control

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"semper"
	"semper/actor"
	"semper/internal/pause"
	"semper/store"
	"semper/supervise"
)

const role = "control"

// Run waits for the leadership and then leads until ctx ends or the leadership is lost; a lost one is sought again. It
// returns nil when ctx ends, and an error when the tree gives up. All its goroutines have ended then.
func (c *Control) Run(ctx context.Context) error {
	tree, err := c.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how it is meant to end
		}
		return err
	}
	select {
	case <-ctx.Done():
		return tree.Stop(context.WithoutCancel(ctx))
	case <-tree.Done():
		return fmt.Errorf("control ended: %v", tree.Reason())
	}
}

// Spec is the tree as a part of a larger one, in place of Run.
func (c *Control) Spec() supervise.ChildSpec {
	return supervise.ChildSpec{ID: role, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
		return c.start(ctx)
	}}
}

// start starts the root: the seeker after that under which it starts a tree for each term, so that whatever ends the
// seeker ends its term, and not the other way round.
//
// Only panics of the seeker count here, as it waits out what the store does to it. One that panics three times in ten
// seconds does so for ever, and then the OS process is better begun anew: that is for who is above.
func (c *Control) start(ctx context.Context) (*supervise.Supervisor, error) {
	s := &seeker{c: c}
	ctx = actor.Under(ctx, role)
	return supervise.Start(ctx, supervise.Flags{Name: role, Strategy: supervise.RestForOne, Intensity: 3, Period: 10 * time.Second},
		[]supervise.ChildSpec{
			c.dynamic(supervise.DynamicFlags{Name: role + "/streams"}, &c.streams),
			c.dynamic(supervise.DynamicFlags{Name: role + "/terms"}, &s.terms),
			{ID: "seeker", Start: supervise.Serve(s.serve), Shutdown: supervise.Infinity},
		}, c.supervision(ctx))
}

// dynamic is the spec of a supervisor for children that come and go, which is found at at while it runs. Its id is the
// last element of its name.
func (c *Control) dynamic(f supervise.DynamicFlags, at *atomic.Pointer[supervise.Dynamic]) supervise.ChildSpec {
	id := path.Base(f.Name)
	return supervise.ChildSpec{ID: id, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
		ctx = actor.Under(ctx, id)
		d, err := supervise.StartDynamic(ctx, f, c.supervision(ctx))
		if err != nil {
			return nil, err
		}
		at.Store(d)
		return d, nil
	}}
}

func (c *Control) supervision(ctx context.Context) supervise.Options {
	if c.o.Supervision != nil {
		return c.o.Supervision(ctx)
	}
	return supervise.Options{Observe: func(e supervise.Event) {
		if e.Kind == supervise.Ended && e.Reason.Abnormal() || e.Kind == supervise.StartFailed || e.Kind == supervise.GaveUp {
			c.o.Log.Warn(e.String())
		}
	}}
}

// stream runs f for a reader, until ctx or the tree ends. An error says that f was not called.
func (c *Control) stream(ctx context.Context, what string, f func(context.Context)) error {
	err := supervise.ErrStopping
	if d := c.streams.Load(); d != nil {
		_, err = d.StartChild(context.WithoutCancel(ctx), supervise.ChildSpec{
			ID: what, Restart: supervise.Temporary, Shutdown: supervise.Infinity,
			Start: supervise.Serve(func(tree context.Context) error {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(tree, cancel)()
				f(ctx)
				return nil
			}),
		})
	}
	if err != nil {
		return &semper.Error{Code: semper.Unavailable, Op: what, Message: "the control process is ending", Hint: "try again: its successor is about to start", Err: err}
	}
	return nil
}

// seeker seeks the leadership, has the term run that it got, and seeks the next.
type seeker struct {
	c     *Control
	terms atomic.Pointer[supervise.Dynamic]
}

const (
	pauseLost   = 200 * time.Millisecond
	pauseBroken = 2 * time.Second // after a term that gave up: what broke it will do so again
)

func (s *seeker) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.lead(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how it is meant to end
		}
		s.c.o.Log.Warn("leadership ended; seeking it again", "error", err)
		delay := pauseLost
		if errors.Is(err, supervise.ErrIntensity) {
			delay = pauseBroken
		}
		pause.For(ctx, delay)
	}
	return nil
}

// lead acquires the leadership and keeps it for one term. However it returns, and be it by a panic, first the term has
// ended, and then the leadership is given up.
func (s *seeker) lead(ctx context.Context) error {
	l, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	always, terms := context.WithoutCancel(ctx), s.terms.Load()
	defer func() {
		resign, cancel := context.WithTimeout(always, 2*time.Second)
		defer cancel()
		if err := l.Resign(resign); err != nil {
			s.c.o.Log.Warn("leadership not resigned; it expires", "error", err)
		}
	}()
	t := &term{c: s.c, leadership: l}
	child, err := terms.StartChild(always, supervise.ChildSpec{
		ID: "leader", Restart: supervise.Temporary, Supervisor: true,
		Start: func(start context.Context) (supervise.Child, error) {
			start, cancel := context.WithCancel(start)
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return t.start(start)
		},
	})
	if err != nil {
		return err
	}
	defer terms.TerminateChild(always, child) //nolint:errcheck // it ends whatever the answer is, and nothing cuts the waiting
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-child.Done():
	}
	return child.Reason().Err
}

// acquire waits for the leadership, and meanwhile frees it of the dead. Without the eviction, should that panic, it
// only waits longer.
func (s *seeker) acquire(ctx context.Context) (semper.Leadership, error) {
	always, terms := context.WithoutCancel(ctx), s.terms.Load()
	eviction, err := terms.StartChild(always, supervise.ChildSpec{
		ID: "eviction", Start: supervise.Serve(s.c.evict), Restart: supervise.Temporary, Shutdown: supervise.Infinity,
	})
	if err != nil {
		return nil, err
	}
	defer terms.TerminateChild(always, eviction) //nolint:errcheck // as above
	return s.c.o.Store.Lead(ctx, role, s.c.o.ID)
}

// evict frees the leadership of a process that is known to have ended, instead of waiting for its
// lease: a dead process cannot come back, and its fence breaks with the key (law L7).
func (c *Control) evict(ctx context.Context) error {
	for {
		key := store.LeadKey(role)
		if it, err := c.o.Store.Get(ctx, key); err == nil && string(it.Value) != c.o.ID && c.o.Machine.Gone(string(it.Value)) {
			_, err := c.o.Store.Commit(ctx, semper.Txn{
				If: []semper.Condition{{Key: key, Version: it.Version}}, Then: []semper.Write{{Key: key, Delete: true}},
			})
			c.o.Log.Info("leadership of a dead control process ended", "holder", string(it.Value), "error", err)
		}
		if !pause.For(ctx, 500*time.Millisecond) {
			return nil
		}
	}
}

// term is the time of one leadership.
type term struct {
	c          *Control
	leadership semper.Leadership
	work       atomic.Pointer[supervise.Dynamic]
}

// start starts the tree of the term. Each child needs those before it, and so rest_for_one: a model that has crashed is
// read anew from the store, with observers that tell it everything, and commands none of which is left over from the
// model before; an observer that has crashed costs the model nothing. The lease is first, as its end alone matters: it
// is the term's.
//
// What breaks the model is most often one stored value or one command, and a fresh start gets over the second. After the
// third restart in ten seconds the term ends, and the leadership goes to another process if there is one. The work never
// gives up: one bad check, which is a matter of one instance, must not end the term.
func (t *term) start(ctx context.Context) (*supervise.Supervisor, error) {
	c, ctx := t.c, actor.Under(ctx, "leader")
	model := actor.Child("model", func() actor.Server[act] { return &leader{c: c, term: t} },
		actor.Options{Name: c.model, Mailbox: actor.Mailbox{Limit: gather, Overflow: actor.Wait}})
	model.Shutdown = supervise.Infinity // it heeds its context, and to disown it would be to have two
	model.Backoff = supervise.Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second, Reset: time.Minute}
	return supervise.Start(ctx,
		supervise.Flags{Name: leaderPath, Strategy: supervise.RestForOne, Intensity: 3, Period: 10 * time.Second, AutoShutdown: supervise.AnySignificant},
		[]supervise.ChildSpec{
			{ID: "lease", Start: supervise.Serve(t.lease), Restart: supervise.Temporary, Significant: true},
			model,
			c.dynamic(supervise.DynamicFlags{Name: leaderPath + "/work", Intensity: 10, Period: 10 * time.Second, GiveUp: supervise.Persist}, &t.work),
			{ID: "keeper watch", Start: supervise.Serve(c.watchKeeper), Shutdown: supervise.Infinity},
			{ID: "edges watch", Start: supervise.Serve(c.watchEdges), Shutdown: supervise.Infinity},
			{ID: "certificates watch", Start: supervise.Serve(c.watchCertificates), Shutdown: supervise.Infinity},
			{ID: "experiments", Start: supervise.Serve(t.experiment), Shutdown: supervise.Infinity},
			{ID: "scaling", Start: supervise.Serve(t.scale), Shutdown: supervise.Infinity},
			{ID: "judge", Start: supervise.Serve(t.judge), Shutdown: supervise.Infinity},
		}, c.supervision(ctx))
}

const leaderPath = role + "/terms/leader"

var errLost = errors.New("leadership lost")

// lease ends with the leadership.
func (t *term) lease(ctx context.Context) error {
	select {
	case <-t.leadership.Done():
		t.c.o.Log.Warn("the term ends", "error", errLost)
	case <-ctx.Done():
	}
	return nil
}
