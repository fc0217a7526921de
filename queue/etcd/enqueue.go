package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
)

// Enqueue returns when the job is durable.
func (q *Queue) Enqueue(ctx context.Context, j queue.Job) (queue.Receipt, error) {
	if err := q.alive(ctx); err != nil {
		return queue.Receipt{}, err
	}
	p, now := q.rules(), time.Now()
	if err := j.Check(p, now); err != nil {
		return queue.Receipt{}, err
	}
	var k taken
	if j.DedupKey != "" { // a repeated request is answered also when the queue is full
		var err error
		if k, err = q.idem(ctx, record.MetaOf(j, 0).Dedup); err != nil {
			return queue.Receipt{}, err
		}
		if r, err := k.is(j, now); err != nil || r.Duplicate {
			return r, err
		}
	}
	size := j.Size()
	release, err := q.hold(ctx, size)
	if err != nil {
		return queue.Receipt{}, err
	}
	defer release()
	named := j.ID != queue.ID{}
	j = j.Ready(p, now)
	m := record.MetaOf(j, q.place.Add(1))
	if len(j.Request.Body) > queue.Inline {
		if m.Body, err = q.spill(j); err != nil {
			return queue.Receipt{}, err
		}
	}
	r, err := q.accept(ctx, m, j, named, k, now.Add(p.Dedup))
	if r.Duplicate || errors.Is(err, queue.ErrState) || errors.Is(err, queue.ErrKeyReused) {
		q.removeFiles([]string{m.Body}) // of nobody; where it is not known whose it is, it stays
	}
	return r, err
}

func (q *Queue) spill(j queue.Job) (string, error) {
	if q.bodies == nil {
		return "", noBodies(len(j.Request.Body))
	}
	return q.bodies.Put("job-"+j.ID.String(), j.Request.Body)
}

// accept commits the job, with its idempotency key if it has one, of which k was read, until a time. An
// ID that was named by the caller may be there already.
func (q *Queue) accept(ctx context.Context, m meta, j queue.Job, named bool, k taken, until time.Time) (queue.Receipt, error) {
	text := record.Seal(m, j)
	keep := q.keeps(m, j, text)
	for range maxTries {
		o := &op{id: j.ID, keep: keep, done: make(chan outcome, 1)}
		f := &fresh{meta: m, text: text}
		if m.Dedup != "" {
			digest := j.Digest()
			f.claim, f.known = q.prefix+kIdem+m.Dedup, known{ID: j.ID, Digest: digest[:], Until: until.Round(0)}
			o.txn.If = append(o.txn.If, semper.Condition{Key: f.claim, Version: k.version})
		}
		if o.fresh = f; named || m.Body != "" {
			if err := q.alone(o); err != nil {
				return queue.Receipt{}, err
			}
		}
		if named {
			o.txn.If = append(o.txn.If, semper.Condition{Key: q.key(kJob, j.ID)})
		}
		done, err := q.put(ctx, o)
		var revision int64
		if err == nil {
			revision, err = q.await(done)
		}
		if err == nil {
			return queue.Receipt{ID: o.id, Revision: revision}, nil
		}
		if !errors.Is(err, semper.ErrConflict) {
			return queue.Receipt{}, err
		}
		if m.Dedup == "" {
			return queue.Receipt{}, queue.InState(j.ID, queue.Queued, "new")
		}
		was := k.version
		if k, err = q.idem(ctx, m.Dedup); err != nil {
			return queue.Receipt{}, err
		}
		if r, err := k.is(j, time.Now()); err != nil || r.Duplicate {
			return r, err
		}
		if k.version == was {
			return queue.Receipt{}, queue.InState(j.ID, queue.Queued, "new")
		}
	}
	return queue.Receipt{}, &semper.Error{Code: semper.Unavailable, Op: "enqueue", Message: "its idempotency key changes hands all the time", Hint: "try again"}
}

// alone makes o write its job under the name that it has.
func (q *Queue) alone(o *op) error {
	f := o.fresh
	o.fresh = nil
	o.txn.Then = append(o.txn.Then, semper.Write{Key: q.key(kJob, o.id), Value: f.text})
	o.notices = append(o.notices, notice{Kind: record.Add, ID: o.id, Meta: &f.meta})
	return f.claims(&o.txn, o.id)
}

// keeps is the job as it is kept for its start, which shares no memory with the caller's; without a method where it is not kept.
func (q *Queue) keeps(m meta, j queue.Job, record []byte) queue.Job {
	if m.Body != "" || j.NotBefore.After(j.Accepted) {
		return queue.Job{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.term == nil || q.recent.full() {
		return queue.Job{}
	}
	j.Request.Body = record[len(record)-len(j.Request.Body):]
	j.Request.Header = j.Request.Header.Clone()
	return j
}

// remember keeps requests that were accepted for their start.
func (q *Queue) remember(ops []*op) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range ops {
		if o.keep.Request.Method != "" && q.term != nil && !q.recent.full() {
			o.keep.ID = o.id
			q.recent.put(o.keep)
		}
	}
}

// taken is an idempotency key that stands for a job.
type taken struct {
	known
	version int64
}

func (q *Queue) idem(ctx context.Context, hash string) (k taken, err error) {
	key := q.prefix + kIdem + hash
	items, err := q.e.store.Fetch(ctx, key)
	if err != nil || items[0].Version == 0 {
		return taken{}, err
	}
	if err := json.Unmarshal(items[0].Value, &k.known); err != nil {
		return taken{}, record.Damaged(key, err)
	}
	k.version = items[0].Version
	return k, nil
}

// is what the key says of j at now: its duplicate, another request, or nothing.
func (k taken) is(j queue.Job, now time.Time) (queue.Receipt, error) {
	if k.version == 0 || !k.Until.After(now) {
		return queue.Receipt{}, nil
	}
	if digest := j.Digest(); !bytes.Equal(digest[:], k.Digest) {
		return queue.Receipt{}, queue.Reused(k.ID)
	}
	return queue.Receipt{ID: k.ID, Duplicate: true, Revision: k.version}, nil
}

// far is what a process that does not dispatch knows of the backlog.
type far struct {
	stats queue.Stats
	read  time.Time
	jobs  int   // accepted here since
	bytes int64 // of those
}

// farAge is how old numbers of another process may be.
const farAge = time.Second

// hold keeps room for a job, or refuses. In the dispatcher the bound is exact; elsewhere it is that of a second ago and
// what was accepted here since.
func (q *Queue) hold(ctx context.Context, size int64) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.term; t != nil && t.back != nil {
		b := t.back
		if err := b.Hold(size); err != nil {
			return nil, err
		}
		return func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			b.Unhold(size)
		}, nil
	}
	if time.Since(q.far.read) > farAge {
		q.mu.Unlock()
		err := q.lookFar(ctx)
		q.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	s := q.far.stats
	jobs, bytes := s.Queued+s.Delayed+s.Running+s.Dead+q.far.jobs, s.Bytes+q.far.bytes
	if jobs >= q.policy.MaxJobs || bytes+size > q.policy.MaxBytes {
		return nil, queue.Refused(jobs, bytes, farAge)
	}
	q.far.jobs++
	q.far.bytes += size
	return func() {}, nil
}

// lookFar reads the numbers of another process, unless somebody has just done so.
func (q *Queue) lookFar(ctx context.Context) error {
	q.farRead.Lock()
	defer q.farRead.Unlock()
	q.mu.Lock()
	fresh := time.Since(q.far.read) <= farAge
	q.mu.Unlock()
	if fresh {
		return nil
	}
	s, err := q.farStats(ctx)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.far = far{stats: s, read: time.Now()}
	return nil
}
