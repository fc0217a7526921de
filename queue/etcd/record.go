package etcd

import (
	"fmt"
	"strings"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
)

// jobOf reads a job's record, wherever it stands.
func (q *Queue) jobOf(id queue.ID, h home) (m meta, j queue.Job, err error) {
	if h.err != nil {
		return m, j, h.err
	}
	key := h.Key
	m, r, body, err := record.OpenJob(key, h.record)
	m.Packed = h.packed
	j = m.Job(id, r)
	switch {
	case err != nil:
		return m, j, err
	case m.Schema > record.Schema:
		return m, j, record.Damaged(key, fmt.Errorf("schema %d, and this semper knows %d", m.Schema, record.Schema))
	case m.Body != "":
		body, err = q.spilled(m.Body)
	}
	j.Request.Body = body
	return m, j, err
}

func (q *Queue) spilled(name string) ([]byte, error) {
	if q.bodies == nil {
		return nil, &semper.Error{Code: semper.NotFound, Op: "queue", Message: "body " + name, Hint: "this process has no directory of bodies"}
	}
	return q.bodies.Get(name)
}

// withBody is r and, for what follows the record, its body; a large one is in a file of id.
func (q *Queue) withBody(id queue.ID, r *queue.Result) (*result, []byte, error) {
	if r == nil {
		return nil, nil, nil
	}
	if len(r.Body) <= queue.Inline {
		return &result{Result: *r}, r.Body, nil
	}
	if q.bodies == nil {
		return nil, nil, noBodies(len(r.Body))
	}
	name, err := q.bodies.Put("res-"+id.String(), r.Body)
	if err != nil {
		return nil, nil, err
	}
	return &result{Result: *r, File: name}, nil, nil
}

func noBodies(n int) error {
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: fmt.Sprintf("a body of %d bytes is more than the %d that are kept without a directory of bodies", n, queue.Inline),
		Hint: "give the engine one", Err: queue.ErrTooLarge}
}

// reply is a result as it was given, with the bytes that follow its record.
func (q *Queue) reply(r *result, body []byte) (*queue.Result, error) {
	if r == nil {
		return nil, nil
	}
	out := r.Result
	out.Body = body
	if r.File != "" {
		var err error
		if out.Body, err = q.spilled(r.File); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// Kinds of keys below a queue's prefix.
const (
	kJob   = "job/"
	kRun   = "run/"
	kDelay = "delay/"
	kDead  = "dead/"
	kRes   = "res/"
	kIdem  = "idem/"
	kDeed  = "deed/"
	kIndex = "index/"
	kTell  = "tell/"
	kPause = "pause"
	kBell  = "bell"
	kBlock = "block/"
	kHead  = "head/"
	kOver  = "over/"
)

// statPrefix is of what dispatchers write down of their queues, for others: away from the jobs, so that all are listed at once.
const statPrefix = "qs/"

func (q *Queue) statKey() string { return statPrefix + q.service.String() }

func (q *Queue) key(kind string, id queue.ID) string { return q.prefix + kind + id.String() }

// idOf is the job that a key below kind names.
func (q *Queue) idOf(key, kind string) (queue.ID, error) {
	return queue.ParseID(strings.TrimPrefix(key, q.prefix+kind))
}
