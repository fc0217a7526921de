package record

import (
	"encoding/binary"
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// PageSchema begins each page.
const PageSchema = 1

// Fact is one job's part of a page, still encoded.
type Fact struct {
	Page    int32
	Version int64 // of the record it was taken from
	Rest    []byte
}

// AppendFact adds what never changes of e.
func AppendFact(b []byte, e *backlog.Entry) []byte {
	b = append(b, e.ID[:]...)
	b = binary.AppendVarint(b, e.Revision)
	var rest []byte
	rest = binary.AppendVarint(rest, e.Place)
	rest = binary.AppendVarint(rest, int64(e.Priority))
	rest = binary.AppendVarint(rest, e.Size)
	for _, t := range []time.Time{e.Accepted, e.Expires, e.At} {
		rest = appendTime(rest, t)
	}
	rest = append(rest, e.Key...)
	b = binary.AppendUvarint(b, uint64(len(rest)))
	return append(b, rest...)
}

// appendTime writes seconds and nanoseconds, the latter one more than they are; 0 is the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendUvarint(b, 0)
	}
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(t.Nanosecond())+1), t.Unix())
}

// Facts visits the parts of a page; false when it is not one that this semper knows.
func Facts(value []byte, visit func(id queue.ID, version int64, rest []byte)) bool {
	if len(value) == 0 || value[0] != PageSchema {
		return false
	}
	for r := (reader{b: value[1:]}); len(r.b) > 0; {
		var id queue.ID
		copy(id[:], r.bytes(len(id)))
		version := r.varint()
		rest := r.bytes(int(min(r.uvarint(), uint64(len(r.b))+1)))
		if r.bad {
			return false
		}
		visit(id, version, rest)
	}
	return true
}

// Entry decodes the fact of job id.
func (f Fact) Entry(id queue.ID) (backlog.Entry, bool) {
	r := reader{b: f.Rest}
	e := backlog.Entry{ID: id, Revision: f.Version, Page: f.Page, Place: r.varint(), Priority: int8(r.varint()), Size: r.varint()}
	e.Accepted, e.Expires, e.At = r.time(), r.time(), r.time()
	e.Key = string(r.b)
	return e, !r.bad
}

// reader takes values off b until one is not whole.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) || r.bad {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.bytes(max(n, 0))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.bytes(max(n, 0))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) time() time.Time {
	nanos := r.uvarint()
	if nanos == 0 || nanos > uint64(time.Second) {
		return time.Time{}
	}
	return time.Unix(r.varint(), int64(nanos)-1)
}
