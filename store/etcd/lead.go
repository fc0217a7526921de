package etcd

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"semper"
	"semper/store"
)

// leadership is a key on a lease. Its goroutine renews the lease and ends when either is gone.
type leadership struct {
	fence  semper.Condition
	done   chan struct{}
	resign context.CancelFunc
}

// Lead blocks until id leads role, or ctx ends. A server that is away, or takes no writes, is waited for.
func (s *Store) Lead(ctx context.Context, role, id string) (semper.Leadership, error) {
	key := store.LeadKey(role)
	for {
		l, after, err := s.tryLead(ctx, key, id)
		switch {
		case l != nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case s.ctx.Err() != nil:
			return nil, store.Closed()
		case err == nil:
			s.untilChanged(ctx, key, after)
		case errors.Is(err, semper.ErrConflict), semper.CodeOf(err) == semper.Unavailable:
			// Somebody was faster; or patience, which is a pause, is at its end.
		case semper.CodeOf(err) == semper.NoSpace:
			s.pauseFor(ctx, time.Second)
		default:
			return nil, err
		}
	}
}

func (s *Store) pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

// tryLead takes the role if it is free, or held under the same id. With neither a leadership nor an error it is held
// by another, as of revision after.
func (s *Store) tryLead(ctx context.Context, key, id string) (l *leadership, after int64, err error) {
	held, after, err := s.get(ctx, key)
	if err != nil && !errors.Is(err, semper.ErrNotFound) {
		return nil, 0, err
	}
	if err == nil && string(held.Value) != id {
		return nil, after, nil
	}
	lease, err := s.grant(ctx)
	if err != nil {
		return nil, 0, err
	}
	rev, err := s.commit(ctx, newAttempt(semper.Txn{
		If:   []semper.Condition{{Key: key, Version: held.Version}},
		Then: []semper.Write{{Key: key, Value: []byte(id)}},
	}, lease))
	if err != nil {
		s.revoke(lease)
		return nil, 0, err
	}
	hold, resign := context.WithCancel(ctx)
	l = &leadership{fence: semper.Condition{Key: key, Version: rev}, done: make(chan struct{}), resign: resign}
	if !s.spawn(func() {
		defer close(l.done)
		defer resign()
		s.hold(hold, l.fence, lease)
		s.revoke(lease)
	}) {
		resign()
		s.revoke(lease)
		return nil, 0, store.Closed()
	}
	return l, 0, nil
}

func (s *Store) grant(ctx context.Context) (lease clientv3.LeaseID, err error) {
	// A lease nobody hears of runs out, so a second one does no harm.
	err = s.read(ctx, func(ctx context.Context) error {
		r, err := s.client.Grant(ctx, int64(s.lease/time.Second))
		if err == nil {
			lease = r.ID
		}
		return err
	})
	return lease, err
}

// revoke gives the lease back, and with it the role. It does not insist: the lease ends by itself.
func (s *Store) revoke(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Second)
	defer cancel()
	_, _ = s.client.Revoke(ctx, lease)
}

// hold returns when ctx ends, the lease can have run out, or the fence no longer holds.
func (s *Store) hold(ctx context.Context, fence semper.Condition, lease clientv3.LeaseID) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	alive, err := s.client.KeepAlive(ctx, lease)
	if err != nil {
		return
	}
	deposed := make(chan struct{})
	if !s.spawn(func() {
		defer close(deposed)
		s.untilDeposed(ctx, fence)
	}) {
		return
	}
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return
			}
		case <-deposed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// untilDeposed returns when ctx ends or the fence no longer holds. Not knowing it is not the end: for that there is
// the lease.
func (s *Store) untilDeposed(ctx context.Context, fence semper.Condition) {
	for ctx.Err() == nil {
		it, now, err := s.get(ctx, fence.Key)
		if semper.CodeOf(err) == semper.Unavailable {
			continue
		}
		if err != nil || it.Version != fence.Version {
			return
		}
		s.untilChanged(ctx, fence.Key, now)
	}
}

// untilChanged returns when key has changed since after, which has to be a revision of now and not one that may be
// compacted, or when ctx ends.
func (s *Store) untilChanged(ctx context.Context, key string, after int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for r := range s.client.Watch(ctx, root+key, clientv3.WithRev(after+1)) {
		if r.Err() != nil || len(r.Events) > 0 {
			return
		}
	}
}

// Fence holds exactly while this leadership does.
func (l *leadership) Fence() semper.Condition { return l.fence }

// Done is closed when the leadership is lost.
func (l *leadership) Done() <-chan struct{} { return l.done }

// Resign gives the role up and returns when it is free for others. Resigning what is lost is no error.
func (l *leadership) Resign(ctx context.Context) error {
	l.resign()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
