package etcd

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"semper"
	"semper/store"
)

// Options of a client. The zero value is a good one.
type Options struct {
	// Patience is how long a call waits for a server that is away before it is Unavailable. 0: 5 s.
	Patience time.Duration
	// Lease is how long a leader may be unheard of before another may lead, at least 2 s. 0: 5 s.
	Lease time.Duration
}

// Store is a [semper.Store] in the server behind a socket. Its methods are safe for concurrent use;
// one per process is enough, and shares one connection among all calls and watches.
type Store struct {
	client   *clientv3.Client
	kv       pb.KVClient // of client, for commits
	patience time.Duration
	lease    time.Duration

	ctx context.Context // ends with Close
	end context.CancelFunc
	mu  sync.Mutex     // orders wg.Go before the wait of Close
	wg  sync.WaitGroup // watches and leaderships
}

var _ semper.Store = (*Store)(nil)

// Open is a client of the server at socket. It does not wait for the server, nor need it to be there.
// ctx is only that of this call.
func Open(ctx context.Context, socket string, o Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	socket, err := filepath.Abs(socket)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: "store open", Err: err}
	}
	s := &Store{patience: 5 * time.Second, lease: 5 * time.Second}
	if o.Patience > 0 {
		s.patience = o.Patience
	}
	if o.Lease > 0 {
		s.lease = max(o.Lease, 2*time.Second)
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"unix://" + socket},
		Logger:    zap.NewNop(),
		// Repeating is decided here, where it is known what may be repeated.
		MaxUnaryRetries:      1,
		MaxCallSendMsgSize:   4 * store.MaxBytes,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: 5 * time.Second,
		})},
	})
	if err != nil {
		s.end()
		return nil, &semper.Error{Code: semper.Internal, Op: "store open", Err: err}
	}
	s.client, s.kv = c, clientv3.RetryKVClient(c)
	return s, nil
}

// Get is the value at key, linearizable.
func (s *Store) Get(ctx context.Context, key string) (semper.Item, error) {
	item, _, err := s.get(ctx, key)
	if err != nil {
		return semper.Item{}, err
	}
	return item, nil
}

// get is Get with the revision it was read at, which is known also where there is no such key.
func (s *Store) get(ctx context.Context, key string) (item semper.Item, revision int64, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		r, err := s.client.Get(ctx, root+key)
		if err != nil {
			return err
		}
		revision = r.Header.Revision
		if len(r.Kvs) == 0 {
			return store.NotFound(key)
		}
		kv := r.Kvs[0]
		body, _, err := unseal(key, kv.Value)
		item = semper.Item{Key: key, Value: body, Version: kv.ModRevision}
		return err
	})
	return item, revision, err
}

// page is how many items one message carries, so that a long list is not held in memory twice over.
const page = 500

// List is every item below prefix in key order, and the revision it was read at.
func (s *Store) List(ctx context.Context, prefix string) (items []semper.Item, revision int64, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		items, revision = nil, 0 // of an attempt that broke off
		from, end := root+prefix, clientv3.GetPrefixRangeEnd(root+prefix)
		for {
			r, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
			if err != nil {
				return err
			}
			if revision == 0 {
				revision = r.Header.Revision
			}
			for _, kv := range r.Kvs {
				key := strings.TrimPrefix(string(kv.Key), root)
				body, _, err := unseal(key, kv.Value)
				if err != nil {
					return err
				}
				items = append(items, semper.Item{Key: key, Value: body, Version: kv.ModRevision})
			}
			if !r.More {
				return nil
			}
			from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
		}
	})
	if err != nil {
		return nil, 0, err
	}
	return items, revision, nil
}

// read does what changes nothing, again and again until it has an answer or patience is at its end.
func (s *Store) read(ctx context.Context, attempt func(context.Context) error) error {
	try, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for {
		if err := s.connected(ctx, try); err != nil {
			return err
		}
		err := attempt(try)
		// What was compacted while a list was being read is read again from its beginning.
		if err == nil || !passing(err) && !errors.Is(err, rpctypes.ErrCompacted) {
			return s.told(ctx, err)
		}
		if err := s.pause(ctx, try); err != nil {
			return err
		}
	}
}

// connected waits until the connection stands. What fails before that was never sent.
func (s *Store) connected(ctx, try context.Context) error {
	conn := s.client.ActiveConnection()
	for {
		if s.ctx.Err() != nil {
			return store.Closed()
		}
		state := conn.GetState()
		if state == connectivity.Ready {
			return nil
		}
		conn.Connect()
		if !conn.WaitForStateChange(try, state) {
			return s.gaveUp(ctx)
		}
	}
}

// pause lets a server that answers but is not able yet come to itself.
func (s *Store) pause(ctx, try context.Context) error {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-try.Done():
		return s.gaveUp(ctx)
	case <-s.ctx.Done():
		return store.Closed()
	}
}

// gaveUp is the caller's own reason to stop waiting, or else that patience ended.
func (s *Store) gaveUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return &semper.Error{Code: semper.Unavailable, Op: "store", Message: "the store does not answer; nothing was changed",
		Hint: "it is restarted by itself: try again, and look at semper tree and semper doctor if it stays away"}
}

// passing reports whether err may be gone with the next attempt. It says nothing of whether this one had an effect.
func passing(err error) bool {
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return false
	}
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// told is err in semper's words.
func (s *Store) told(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*semper.Error](err); ok {
		return err
	}
	if s.ctx.Err() != nil {
		return store.Closed()
	}
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	code := status.Code(err)
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		code = e.Code()
	}
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return &semper.Error{Code: semper.NoSpace, Op: "store", Message: "the store takes no writes: its disk is nearly full", Hint: "free space, or remove old releases: semper release gc", Err: err}
	case errors.Is(err, context.DeadlineExceeded), code == codes.DeadlineExceeded, code == codes.Unavailable:
		return s.gaveUp(ctx)
	case code == codes.InvalidArgument:
		return &semper.Error{Code: semper.Invalid, Op: "store", Err: err}
	}
	return &semper.Error{Code: semper.Internal, Op: "store", Err: err}
}

// spawn runs f in a goroutine that Close waits for, unless the store is closed.
func (s *Store) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.wg.Go(f)
	return true
}

// Close ends every watch and leadership, whose leases are given back, and the connection.
func (s *Store) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.wg.Wait()
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return &semper.Error{Code: semper.Internal, Op: "store close", Err: err}
	}
	return nil
}
