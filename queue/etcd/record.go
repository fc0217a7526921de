package etcd

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
)

// schema of the records. A newer one is refused, never guessed at.
const schema = 2

// meta is what is kept of a job in all its states.
type meta struct {
	Schema    int       `json:"v"`
	Key       string    `json:"k,omitempty"`
	Priority  int       `json:"p,omitempty"`
	Accepted  time.Time `json:"a"`
	NotBefore time.Time `json:"n,omitzero"`
	Expires   time.Time `json:"x,omitzero"`
	Size      int64     `json:"s,omitempty"`
	Place     int64     `json:"i,omitempty"` // among those accepted in one commit
	Dedup     string    `json:"d,omitempty"` // hash of its idempotency key
	Body      string    `json:"b,omitempty"` // name of its file, where it has one
	Callback  string    `json:"c,omitempty"` // who is told of its end
	Packed    bool      `json:"l,omitempty"` // it stood in a block at its last start; never in its own record
}

// state is a record under run, delay or dead.
type state struct {
	Meta    meta            `json:"m"`
	Order   int64           `json:"o"`           // the revision it was accepted at
	Attempt int             `json:"n"`           // attempts begun
	Spent   int             `json:"z,omitempty"` // attempts before an operator's last Retry
	Now     queue.Attempt   `json:"r,omitzero"`  // that runs
	History []queue.Attempt `json:"h,omitempty"` // that have ended
	Due     time.Time       `json:"u,omitzero"`
	Requeue bool            `json:"q,omitempty"` // Order is the version of this record
	Why     string          `json:"w,omitempty"`
	Ended   time.Time       `json:"e,omitzero"`
	Kept    time.Time       `json:"t,omitzero"`
	Result  *result         `json:"c,omitempty"`
}

// result is a response but its body, which follows the record.
type result struct {
	queue.Result
	File string `json:"file,omitempty"`
}

// over is a record under res.
type over struct {
	queue.Status
	Dedup string  `json:"dedup,omitempty"`
	Reply *result `json:"reply,omitempty"`
}

// known is a record under idem.
type known struct {
	ID     queue.ID  `json:"id"`
	Digest []byte    `json:"digest"`
	Until  time.Time `json:"until"`
}

// A record is lengths and parts: JSON first, bytes last.
func pack(body []byte, parts ...any) ([]byte, error) {
	var out []byte
	for _, p := range parts {
		text, err := json.Marshal(p)
		if err != nil {
			return nil, &semper.Error{Code: semper.Internal, Op: "queue", Err: err}
		}
		out = binary.AppendUvarint(out, uint64(len(text)))
		out = append(out, text...)
	}
	return append(out, body...), nil
}

// unpack reads what pack wrote, as many parts as are asked for, and gives the rest.
func unpack(key string, record []byte, parts ...any) ([]byte, error) {
	for _, p := range parts {
		n, used := binary.Uvarint(record)
		if used <= 0 || n > uint64(len(record)-used) {
			return nil, damaged(key, nil)
		}
		if err := json.Unmarshal(record[used:used+int(n)], p); err != nil {
			return nil, damaged(key, err)
		}
		record = record[used+int(n):]
	}
	return record, nil
}

func damaged(key string, err error) error {
	return &semper.Error{Code: semper.Tampered, Op: "queue", Message: key + " is no record of this queue", Hint: "it was written by another program or a newer semper", Err: err}
}

func metaOf(j queue.Job, place int64) meta {
	m := meta{Schema: schema, Key: j.Key, Priority: j.Priority, Accepted: j.Accepted, NotBefore: j.NotBefore.Round(0), Expires: j.Expires, Size: j.Size(), Place: place, Callback: j.Callback}
	if j.DedupKey != "" {
		sum := sha256.Sum256([]byte(j.DedupKey))
		m.Dedup = hex.EncodeToString(sum[:])
	}
	return m
}

// sealed is the record of a job under job, with its body in it or, named by m, beside it.
func sealed(m meta, j queue.Job) []byte {
	body := j.Request.Body
	if m.Body != "" {
		body = nil
	}
	r := request{j.DedupKey, j.Request}
	out := make([]byte, 0, len(body)+int(m.Size)-len(j.Request.Body)+len(m.Dedup)+len(m.Body)+len(m.Callback)+128)
	return append(appendJob(out, &m, &r), body...)
}

// request is the part of a job that is in its own record alone.
type request struct {
	DedupKey string        `json:"idempotency,omitempty"`
	Request  queue.Request `json:"request"`
}

// job is the job of m with its request, but its body.
func (m meta) job(id queue.ID, r request) queue.Job {
	return queue.Job{ID: id, Key: m.Key, Priority: m.Priority, NotBefore: m.NotBefore, Expires: m.Expires, Accepted: m.Accepted,
		DedupKey: r.DedupKey, Request: r.Request, Callback: m.Callback}
}

// jobOf reads a job's record, wherever it stands.
func (q *Queue) jobOf(id queue.ID, h home) (m meta, j queue.Job, err error) {
	if h.err != nil {
		return m, j, h.err
	}
	key := h.Key
	m, r, body, err := openJob(key, h.record)
	m.Packed = h.packed
	j = m.job(id, r)
	switch {
	case err != nil:
		return m, j, err
	case m.Schema > schema:
		return m, j, damaged(key, fmt.Errorf("schema %d, and this semper knows %d", m.Schema, schema))
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

// entry is what the backlog knows of a job of m that was accepted at revision.
func (m meta) entry(id queue.ID, revision int64) backlog.Entry {
	return backlog.Entry{ID: id, Revision: revision, Place: m.Place, Priority: int8(m.Priority), Key: m.Key, Size: m.Size,
		Accepted: m.Accepted, Expires: m.Expires, At: m.NotBefore}
}

func (s state) entry(id queue.ID) backlog.Entry {
	e := s.Meta.entry(id, s.Order)
	e.Attempt, e.At = int32(s.Attempt), s.Due
	return e
}

func (m meta) status(id queue.ID, s queue.State) queue.Status {
	return queue.Status{ID: id, State: s, Key: m.Key, Priority: m.Priority, Accepted: m.Accepted, NotBefore: m.NotBefore, Expires: m.Expires, Size: m.Size}
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
