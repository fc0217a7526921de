package etcd

import (
	"context"
	"crypto/rand"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"semper"
	"semper/store"
)

// Commit performs all writes or none.
func (s *Store) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if err := store.Check(t); err != nil {
		return 0, err
	}
	return s.commit(ctx, newAttempt(t, clientv3.NoLease))
}

// attempt is a commit that may have to be sent more than once.
type attempt struct {
	txn   semper.Txn
	by    token
	lease clientv3.LeaseID // of every key it puts
	// witness is a key it puts and so, when it was applied, one that bears its token. Empty: it puts none.
	witness string
	// once: having been applied, it cannot be applied again, because it breaks a condition of its own.
	once bool
}

func newAttempt(t semper.Txn, lease clientv3.LeaseID) *attempt {
	a := &attempt{txn: t, lease: lease}
	_, _ = rand.Read(a.by[:]) // never fails
	breaks := map[string]bool{}
	for _, w := range t.Then {
		breaks[w.Key] = true
		if !w.Delete && a.witness == "" {
			a.witness = w.Key
		}
	}
	for _, c := range t.If {
		// Deleting what must not exist leaves the condition whole.
		a.once = a.once || a.witness != "" && breaks[c.Key] && (c.Version != 0 || !deletes(t, c.Key))
	}
	return a
}

func deletes(t semper.Txn, key string) bool {
	for _, w := range t.Then {
		if w.Key == key {
			return w.Delete
		}
	}
	return false
}

// commit sends a until it is known whether it was applied, or it is known that this cannot be known.
func (s *Store) commit(ctx context.Context, a *attempt) (int64, error) {
	try, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for unsure := false; ; {
		if err := s.connected(ctx, try); err != nil {
			return 0, doubt(err, unsure)
		}
		r, err := s.send(try, a, unsure)
		if err == nil && r.Succeeded {
			return r.Header.Revision, nil
		}
		if err == nil {
			if len(r.Responses) == 0 && len(a.txn.If) > 0 {
				return 0, s.unexplained(try, a)
			}
			return a.refused(r, unsure)
		}
		lost := passing(err) || try.Err() != nil
		if !lost {
			return 0, doubt(s.told(ctx, err), unsure)
		}
		unsure = true
		if !a.once {
			return 0, doubt(s.told(ctx, err), true)
		}
		if err := s.pause(ctx, try); err != nil {
			return 0, doubt(err, true)
		}
	}
}

// explained is how many conditions a commit may have to be told at once which of them does not hold. Of more it is asked for: what is
// to be read then is in each replica's log with the commit, whether it is wanted or not.
const explained = 8

func (s *Store) send(ctx context.Context, a *attempt, unsure bool) (*pb.TxnResponse, error) {
	t := &pb.TxnRequest{Compare: make([]*pb.Compare, len(a.txn.If)), Success: make([]*pb.RequestOp, len(a.txn.Then))}
	for i, c := range a.txn.If {
		t.Compare[i] = &pb.Compare{Target: pb.Compare_MOD, Key: []byte(root + c.Key), TargetUnion: &pb.Compare_ModRevision{ModRevision: c.Version}}
	}
	for i, w := range a.txn.Then {
		t.Success[i] = write(w, a)
	}
	if unsure || len(a.txn.If) <= explained {
		for _, c := range a.txn.If {
			t.Failure = append(t.Failure, ranged(c.Key, true))
		}
	}
	if unsure {
		t.Failure = append(t.Failure, ranged(a.witness, false))
	}
	r, err := s.kv.Txn(ctx, t, callOptions...)
	return r, clientv3.ContextError(ctx, err)
}

// callOptions are those of a commit: it waits for nothing, for that is done before.
var callOptions = []grpc.CallOption{grpc.MaxCallSendMsgSize(4 * store.MaxBytes), grpc.MaxCallRecvMsgSize(4 * store.MaxBytes)}

// write is w as etcd has it. The client's own way there copies each value twice more.
func write(w semper.Write, a *attempt) *pb.RequestOp {
	key := []byte(root + w.Key)
	if w.Delete {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: seal(w.Key, a.by, w.Value), Lease: int64(a.lease)}}}
}

func ranged(key string, keysOnly bool) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(root + key), KeysOnly: keysOnly}}}
}

// refused tells the success of an earlier sending from a conflict, and in that which condition does not hold.
func (a *attempt) refused(r *pb.TxnResponse, unsure bool) (int64, error) {
	if unsure {
		seen := r.Responses[len(a.txn.If)].GetResponseRange().Kvs
		if len(seen) == 1 {
			if _, by, err := unseal(a.witness, seen[0].Value); err == nil && by == a.by {
				return seen[0].ModRevision, nil
			}
		}
	}
	for i, c := range a.txn.If {
		found := int64(0)
		if kvs := r.Responses[i].GetResponseRange().Kvs; len(kvs) == 1 {
			found = kvs[0].ModRevision
		}
		if found != c.Version {
			return 0, doubt(store.Conflict(c, found), unsure)
		}
	}
	return 0, &semper.Error{Code: semper.Internal, Op: "store", Message: "a commit was refused although its conditions hold"}
}

// unexplained finds out which condition of a refused commit does not hold. It may hold by now.
func (s *Store) unexplained(ctx context.Context, a *attempt) error {
	t := &pb.TxnRequest{}
	for _, c := range a.txn.If {
		t.Success = append(t.Success, ranged(c.Key, true))
	}
	r, err := s.kv.Txn(ctx, t, callOptions...)
	for i, c := range a.txn.If {
		found := int64(0)
		if err == nil {
			if kvs := r.Responses[i].GetResponseRange().Kvs; len(kvs) == 1 {
				found = kvs[0].ModRevision
			}
		}
		if err == nil && found != c.Version {
			return store.Conflict(c, found)
		}
	}
	return &semper.Error{Code: semper.Conflict, Op: "store", Message: "a condition of the commit did not hold a moment ago",
		Hint: "read again and decide anew", Err: semper.ErrConflict}
}

// doubt is err, or, when the commit may have been applied nevertheless, an error that says so.
func doubt(err error, unsure bool) error {
	if !unsure {
		return err
	}
	if errors.Is(err, semper.ErrConflict) {
		err = seen{err}
	}
	return &semper.Error{Code: semper.Unavailable, Op: "store",
		Message: "the store went away during the commit, which it may have applied or not",
		Hint:    "read again what is there now before you repeat it", Err: err}
}

// seen is an error for a log: a conflict with one's own success must not pass for one to errors.Is.
type seen struct{ err error }

func (s seen) Error() string { return s.err.Error() }
