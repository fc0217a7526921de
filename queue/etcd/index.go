package etcd

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
)

// The index is pages of what deciding needs of jobs that have waited for a while, so that a dispatcher that begins does
// not read the requests of a whole backlog. It is no record of anything: a job is there if its key is, and a page tells of
// it if it says the version of that key, whose value never changes. What no page tells of is read where it stands.

const (
	pageSchema = 1
	// pageLeast is how many jobs are worth a page. A queue that is worked off as it fills writes none.
	pageLeast = 512
	// pageMost and pageBytes bound one.
	pageMost  = 4096
	pageBytes = batchBytes
)

// page is one under index, of which the backlog counts the jobs.
type page struct {
	key   string
	jobs  int    // when it was written
	block *block // whose head it is, which is no page of the index; nil: none
}

// fact is one job's part of a page, still encoded.
type fact struct {
	page    int32
	version int64
	rest    []byte
}

// appendFact adds what never changes of e.
func appendFact(b []byte, e *backlog.Entry) []byte {
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

// facts visits the parts of a page; false when it is not one that this semper knows.
func facts(value []byte, visit func(id queue.ID, version int64, rest []byte)) bool {
	if len(value) == 0 || value[0] != pageSchema {
		return false
	}
	for r := (reader{b: value[1:]}); len(r.b) > 0; {
		var id queue.ID
		copy(id[:], r.bytes(len(id)))
		version := r.varint()
		rest := r.bytes(int(min(r.uvarint(), pageBytes)))
		if r.bad {
			return false
		}
		visit(id, version, rest)
	}
	return true
}

// entry decodes the fact of job id.
func (f fact) entry(id queue.ID) (backlog.Entry, bool) {
	r := reader{b: f.rest}
	e := backlog.Entry{ID: id, Revision: f.version, Page: f.page, Place: r.varint(), Priority: int8(r.varint()), Size: r.varint()}
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

// writeIndex writes pages of jobs that came since the last ones and wait still.
func (q *Queue) writeIndex(ctx context.Context, t *term) error {
	for ctx.Err() == nil {
		value, ids := q.nextPage(t)
		if len(ids) == 0 {
			return nil
		}
		key := q.key(kIndex, queue.NewID(time.Now()))
		_, err := q.e.store.Commit(ctx, semper.Txn{If: []semper.Condition{t.fence}, Then: []semper.Write{{Key: key, Value: value}}})
		q.mu.Lock()
		if err == nil {
			n := t.addPage(page{key: key, jobs: len(ids)})
			for _, id := range ids {
				t.back.Indexed(id, n)
			}
		} else {
			t.fresh = append(t.fresh, ids...)
		}
		q.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *term) addPage(p page) int32 {
	t.lastPage++
	t.pages[t.lastPage] = p
	return t.lastPage
}

// nextPage is a page, when there are enough jobs for one.
func (q *Queue) nextPage(t *term) (value []byte, ids []queue.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	still := t.fresh[:0]
	for _, id := range t.fresh {
		if e := t.back.Get(id); e != nil && e.Attempt == 0 && e.Note == 0 && e.Waits() {
			still = append(still, id)
		}
	}
	if t.fresh = still; len(still) < pageLeast {
		return nil, nil
	}
	value = []byte{pageSchema}
	for _, id := range still {
		if len(ids) == pageMost || len(value) > pageBytes-1024 {
			break
		}
		value, ids = appendFact(value, t.back.Get(id)), append(ids, id)
	}
	t.fresh = append([]queue.ID(nil), still[len(ids):]...)
	return value, ids
}

// pageSlack is how many jobs pages may tell of that are gone, beside as many as are there.
const pageSlack = 10_000

// sweepIndex removes pages that tell of no job any more. When most tell of few, their jobs go into new ones.
func (q *Queue) sweepIndex(ctx context.Context, t *term) error {
	txn := semper.Txn{If: []semper.Condition{t.fence}}
	var gone []int32
	q.mu.Lock()
	told, there := 0, 0
	for n, p := range t.pages {
		if p.block != nil {
			continue
		}
		live := t.back.OnPage(n)
		told, there = told+p.jobs, there+live
		if live == 0 && len(gone) < 100 {
			gone = append(gone, n)
			txn.Then = append(txn.Then, semper.Write{Key: p.key, Delete: true})
		}
	}
	if told > 2*there+pageSlack && len(gone) == 0 {
		t.rewrite()
	}
	q.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	if _, err := q.e.store.Commit(ctx, txn); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range gone {
		delete(t.pages, n)
	}
	return nil
}

// rewrite makes the jobs of pages that are mostly empty due for new pages. The old ones go when the new are written.
func (t *term) rewrite() {
	t.back.Each(func(e *backlog.Entry) bool {
		if p := t.pages[e.Page]; e.Page != 0 && p.block == nil && t.back.OnPage(e.Page) < p.jobs/2 {
			t.fresh = append(t.fresh, e.ID)
		}
		return true
	})
}

// reading builds a backlog from records.
type reading struct {
	q       *Queue
	b       *backlog.Backlog
	now     time.Time
	pause   *queue.Pause
	belled  int64
	facts   map[queue.ID]fact
	pages   []page // the first is number 1
	blocks  map[blockID]*block
	doubt   map[blockID]bool // of these a mark is damaged
	broken  []int32          // pages of blocks that have to be read themselves
	missing []fact           // jobs that no page tells of, by their ids
	ids     []queue.ID
}

// index takes a page in. One that is damaged or of another semper tells of nothing, and is removed as an empty one.
func (r *reading) index(it semper.Item) {
	n := int32(len(r.pages) + 1)
	p := page{key: it.Key}
	facts(it.Value, func(id queue.ID, version int64, rest []byte) {
		p.jobs++
		r.facts[id] = fact{page: n, version: version, rest: rest}
	})
	r.pages = append(r.pages, p)
}

// job takes in that there is a job, which is queued unless it stands in another state already.
func (r *reading) job(id queue.ID, version int64) {
	f, told := r.facts[id]
	told = told && f.version == version
	if r.b.Get(id) != nil {
		if told {
			r.b.Indexed(id, f.page)
		}
		return
	}
	if told {
		if e, ok := f.entry(id); ok {
			r.b.Add(e, r.now)
			return
		}
	}
	r.missing, r.ids = append(r.missing, fact{version: version}), append(r.ids, id)
}

// fetchEach is how many jobs are read at a time where no page tells of them.
const fetchEach = 250

// fetch reads the jobs that no page tells of. One that is gone by now is heard of otherwise; one that cannot be read is
// found out when it is to start.
func (r *reading) fetch(ctx context.Context) error {
	for at := 0; at < len(r.ids); at += fetchEach {
		ids := r.ids[at:min(at+fetchEach, len(r.ids))]
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = r.q.key(kJob, id)
		}
		items, err := r.q.fetchAll(ctx, keys)
		if err != nil {
			return err
		}
		for i, id := range ids {
			it := items[keys[i]]
			if it.err == nil && it.Version == 0 {
				continue
			}
			e, err := unread(id, r.missing[at+i].version), it.err
			if err == nil {
				var m meta
				if m, err = openMeta(it.Key, it.Value); err == nil {
					e = m.entry(id, it.Version)
				}
			}
			if err != nil && semper.CodeOf(err) != semper.Tampered {
				return errors.Join(err)
			}
			r.b.Add(e, r.now)
		}
	}
	return nil
}

// unread is what is known of a job whose record is damaged.
func unread(id queue.ID, version int64) backlog.Entry {
	return backlog.Entry{ID: id, Revision: version, Accepted: id.Time()}
}
