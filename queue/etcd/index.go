package etcd

import (
	"context"
	"errors"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/record"
)

// The index is pages of what deciding needs of jobs that have waited for a while, so that a dispatcher that begins does
// not read the requests of a whole backlog. It is no record of anything: a job is there if its key is, and a page tells of
// it if it says the version of that key, whose value never changes. What no page tells of is read where it stands.

const (
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
	value = []byte{record.PageSchema}
	for _, id := range still {
		if len(ids) == pageMost || len(value) > pageBytes-1024 {
			break
		}
		value, ids = record.AppendFact(value, t.back.Get(id)), append(ids, id)
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
	facts   map[queue.ID]record.Fact
	pages   []page // the first is number 1
	blocks  map[record.Block]*block
	doubt   map[record.Block]bool // of these a mark is damaged
	broken  []int32               // pages of blocks that have to be read themselves
	missing []record.Fact         // jobs that no page tells of, by their ids
	ids     []queue.ID
}

// index takes a page in. One that is damaged or of another semper tells of nothing, and is removed as an empty one.
func (r *reading) index(it semper.Item) {
	n := int32(len(r.pages) + 1)
	p := page{key: it.Key}
	record.Facts(it.Value, func(id queue.ID, version int64, rest []byte) {
		p.jobs++
		r.facts[id] = record.Fact{Page: n, Version: version, Rest: rest}
	})
	r.pages = append(r.pages, p)
}

// job takes in that there is a job, which is queued unless it stands in another state already.
func (r *reading) job(id queue.ID, version int64) {
	f, told := r.facts[id]
	told = told && f.Version == version
	if r.b.Get(id) != nil {
		if told {
			r.b.Indexed(id, f.Page)
		}
		return
	}
	if told {
		if e, ok := f.Entry(id); ok {
			r.b.Add(e, r.now)
			return
		}
	}
	r.missing, r.ids = append(r.missing, record.Fact{Version: version}), append(r.ids, id)
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
			e, err := unread(id, r.missing[at+i].Version), it.err
			if err == nil {
				var m meta
				if m, err = record.OpenMeta(it.Key, it.Value); err == nil {
					e = m.Entry(id, it.Version)
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
