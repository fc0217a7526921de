package etcd

import (
	"encoding/hex"
	"strings"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
)

// A block is jobs that were accepted in one commit, under one key: what the store does for a key costs as much as what it
// does for a kilobyte. Its jobs share the first half of their ids, which is the block's name, so that whoever has the id
// of a job knows where it stands. It is written once, and removed when all its jobs are over or have moved.

const (
	// packLeast is how many jobs are worth a block.
	packLeast = 4
	// packMost and packBytes bound one: what a damaged record takes with it, and what is read for the sake of one job.
	packMost  = 128
	packBytes = 32 << 10
)

func (q *Queue) blockKey(b record.Block) string { return q.prefix + kBlock + b.String() }
func (q *Queue) headKey(b record.Block) string  { return q.prefix + kHead + b.String() }

// markKey is of the record of those jobs of a block that one commit has ended, of which id is the first.
func (q *Queue) markKey(id queue.ID) string {
	return q.prefix + kOver + record.BlockOf(id).String() + "/" + hex.EncodeToString(id[8:])
}

// blockOfKey is the block that a key below kind is about.
func (q *Queue) blockOfKey(key, kind string) (b record.Block, ok bool) {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, q.prefix+kind), "/")
	n, err := hex.Decode(b[:], []byte(name[:min(len(name), 2*len(b))]))
	return b, err == nil && n == len(b) && len(name) == 2*len(b)
}

// home is where a job's record stands.
type home struct {
	semper.Condition        // that it still stands there; of a block that is not the whole truth, see below
	packed           bool   // in a block
	record           []byte // nil where it is damaged
	err              error  // why
}

// there is whether a job has a record at all. Of a job in a block that says nothing of whether it is over: its result does,
// which stays for as long as the block.
func (h home) there() bool { return h.Version != 0 }

// homeKeys are those that home wants.
func (q *Queue) homeKeys(id queue.ID) []string {
	return []string{q.key(kJob, id), q.blockKey(record.BlockOf(id))}
}

// home finds a job's record among what was read.
func (q *Queue) home(items map[string]fetched, id queue.ID) home {
	key := q.key(kJob, id)
	if it := items[key]; it.Version != 0 || it.err != nil {
		return home{Condition: semper.Condition{Key: key, Version: it.Version}, record: it.Value, err: it.err}
	}
	key = q.blockKey(record.BlockOf(id))
	it := items[key]
	if it.Version == 0 {
		return home{}
	}
	h := home{Condition: semper.Condition{Key: key, Version: it.Version}, packed: true, err: it.err}
	if h.err != nil {
		return h
	}
	found := false
	if !record.Parts(it.Value, func(part queue.ID, record []byte) {
		if part == id {
			h.record, found = record, true
		}
	}) {
		h.err = record.Damaged(key, nil)
		return h
	}
	if !found {
		return home{}
	}
	return h
}

// meta is what the record says, but the request.
func (h home) meta() (m meta, err error) {
	if h.err != nil {
		return m, h.err
	}
	m, err = record.OpenMeta(h.Key, h.record)
	m.Packed = h.packed
	return m, err
}

// stands are the conditions that the job has its record there still, and that it is not over.
func (q *Queue) stands(h home, id queue.ID) []semper.Condition {
	if !h.packed {
		return []semper.Condition{h.Condition}
	}
	return []semper.Condition{h.Condition, {Key: q.key(kRes, id)}}
}
