package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
)

// Schema of the records. A newer one is refused, never guessed at.
const Schema = 2

// Meta is what is kept of a job in all its states.
type Meta struct {
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

// State is a record under run, delay or dead.
type State struct {
	Meta    Meta            `json:"m"`
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
	Result  *Result         `json:"c,omitempty"`
}

// Settle makes Order what it is in a record of that version.
func (s *State) Settle(version int64) {
	if s.Requeue {
		s.Order, s.Requeue = version, false
	}
}

// Result is a response but its body, which follows the record.
type Result struct {
	queue.Result
	File string `json:"file,omitempty"`
}

// Over is a record under res.
type Over struct {
	queue.Status
	Dedup string  `json:"dedup,omitempty"`
	Reply *Result `json:"reply,omitempty"`
}

// Known is a record under idem.
type Known struct {
	ID     queue.ID  `json:"id"`
	Digest []byte    `json:"digest"`
	Until  time.Time `json:"until"`
}

// A record is lengths and parts: JSON first, bytes last.
func Pack(body []byte, parts ...any) ([]byte, error) {
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

// Unpack reads what pack wrote, as many parts as are asked for, and gives the rest.
func Unpack(key string, record []byte, parts ...any) ([]byte, error) {
	for _, p := range parts {
		n, used := binary.Uvarint(record)
		if used <= 0 || n > uint64(len(record)-used) {
			return nil, Damaged(key, nil)
		}
		if err := json.Unmarshal(record[used:used+int(n)], p); err != nil {
			return nil, Damaged(key, err)
		}
		record = record[used+int(n):]
	}
	return record, nil
}

func Damaged(key string, err error) error {
	return &semper.Error{Code: semper.Tampered, Op: "queue", Message: key + " is no record of this queue", Hint: "it was written by another program or a newer semper", Err: err}
}

func MetaOf(j queue.Job, place int64) Meta {
	m := Meta{Schema: Schema, Key: j.Key, Priority: j.Priority, Accepted: j.Accepted, NotBefore: j.NotBefore.Round(0), Expires: j.Expires, Size: j.Size(), Place: place, Callback: j.Callback}
	if j.DedupKey != "" {
		sum := sha256.Sum256([]byte(j.DedupKey))
		m.Dedup = hex.EncodeToString(sum[:])
	}
	return m
}

// sealed is the record of a job under job, with its body in it or, named by m, beside it.
func Seal(m Meta, j queue.Job) []byte {
	body := j.Request.Body
	if m.Body != "" {
		body = nil
	}
	r := Request{j.DedupKey, j.Request}
	out := make([]byte, 0, len(body)+int(m.Size)-len(j.Request.Body)+len(m.Dedup)+len(m.Body)+len(m.Callback)+128)
	return append(AppendJob(out, &m, &r), body...)
}

// Request is the part of a job that is in its own record alone.
type Request struct {
	DedupKey string        `json:"idempotency,omitempty"`
	Request  queue.Request `json:"request"`
}

// Job is the job of m with its request, but its body.
func (m Meta) Job(id queue.ID, r Request) queue.Job {
	return queue.Job{ID: id, Key: m.Key, Priority: m.Priority, NotBefore: m.NotBefore, Expires: m.Expires, Accepted: m.Accepted,
		DedupKey: r.DedupKey, Request: r.Request, Callback: m.Callback}
}

// Entry is what the backlog knows of a job of m that was accepted at revision.
func (m Meta) Entry(id queue.ID, revision int64) backlog.Entry {
	return backlog.Entry{ID: id, Revision: revision, Place: m.Place, Priority: int8(m.Priority), Key: m.Key, Size: m.Size,
		Accepted: m.Accepted, Expires: m.Expires, At: m.NotBefore}
}

func (s State) Entry(id queue.ID) backlog.Entry {
	e := s.Meta.Entry(id, s.Order)
	e.Attempt, e.At = int32(s.Attempt), s.Due
	return e
}

func (m Meta) Status(id queue.ID, s queue.State) queue.Status {
	return queue.Status{ID: id, State: s, Key: m.Key, Priority: m.Priority, Accepted: m.Accepted, NotBefore: m.NotBefore, Expires: m.Expires, Size: m.Size}
}
