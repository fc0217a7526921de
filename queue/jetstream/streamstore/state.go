package streamstore

import (
	"fmt"
	"slices"
	"sort"

	"semper"
	"semper/store"
)

// state is what the messages of the stream come to, up to one of them. It has no clock and no connection.
type state struct {
	revision int64
	applied  uint64 // the sequence of the last message
	first    uint64 // of the first that was applied; 0 before
	mark     uint64 // messages up to it may be purged, says a carry
	own      map[[8]byte]uint64
	items    index

	segments []segment // messages that are not purged, ascending
	stored   int64     // bytes of those
	live     int64     // of entries
}

// segment is a message and how much of it is still needed.
type segment struct {
	seq  uint64
	size int64
	live int64
}

func newState() *state { return &state{revision: 1, own: map[[8]byte]uint64{}} }

// happened is a commit that was applied.
type happened struct {
	revision int64
	changes  []change
}

// apply takes in the message at seq, which follows the last one, and gives its commits.
func (s *state) apply(seq uint64, message []byte) ([]happened, error) {
	r, err := decode(message)
	if err != nil {
		return nil, damagedAt(seq, err.Error())
	}
	first := r.base - 1
	if r.commits == nil {
		first = r.base
	}
	switch {
	case s.first == 0:
		if seq == 1 && first != 1 {
			return nil, damagedAt(seq, fmt.Sprintf("the first message continues revision %d", first))
		}
		s.first, s.revision = seq, first
	case seq != s.applied+1:
		return nil, damagedAt(seq, fmt.Sprintf("the message before it is %d", s.applied))
	case first != s.revision:
		return nil, damagedAt(seq, fmt.Sprintf("it continues revision %d, and the one before it ended at %d", first, s.revision))
	}
	s.applied = seq
	s.own[r.origin.writer] = r.origin.number
	s.segments = append(s.segments, segment{seq: seq, size: int64(len(message)) + overhead})
	s.stored += int64(len(message)) + overhead
	out := make([]happened, 0, len(r.commits))
	for _, c := range r.commits {
		s.revision++
		for _, ch := range c {
			s.change(seq, ch)
		}
		out = append(out, happened{s.revision, c})
	}
	for _, c := range r.carried {
		s.carry(seq, c)
	}
	if r.through > 0 {
		s.mark = max(s.mark, r.through)
		s.purged(s.mark)
	}
	return out, nil
}

func (s *state) change(seq uint64, c change) {
	if c.deleted {
		s.forget(s.items.remove(c.key))
		return
	}
	s.forget(s.items.put(s.enter(seq, c, s.revision)))
}

func (s *state) enter(seq uint64, c change, version int64) *entry {
	e := &entry{key: c.key, version: version, size: len(c.value), seq: seq, at: c.at}
	if e.size <= smallValue {
		e.small = append(make([]byte, 0, e.size), c.value...)
	}
	s.count(e, 1)
	return e
}

func (s *state) forget(e *entry) {
	if e != nil {
		s.count(e, -1)
	}
}

func (s *state) count(e *entry, sign int64) {
	w := sign * e.weight()
	s.live += w
	if i := sort.Search(len(s.segments), func(i int) bool { return s.segments[i].seq >= e.seq }); i < len(s.segments) && s.segments[i].seq == e.seq {
		s.segments[i].live += w
	}
}

// carry moves an entry to the message at seq, or puts it there where its own message is purged already.
func (s *state) carry(seq uint64, c change) {
	e := s.items.get(c.key)
	if e == nil || e.version != c.version {
		s.forget(s.items.put(s.enter(seq, c, c.version)))
		return
	}
	s.count(e, -1)
	e.seq, e.at = seq, c.at
	s.count(e, 1)
}

// purged forgets the segments up to seq: whoever wrote the carry purges them. If that fails, the next purge has them too.
func (s *state) purged(seq uint64) {
	i := 0
	for i < len(s.segments) && s.segments[i].seq <= seq {
		s.stored -= s.segments[i].size
		i++
	}
	s.segments = slices.Delete(s.segments, 0, i)
}

// whole is nil when nothing is missing before the first message: purging has been announced.
func (s *state) whole(first uint64) error {
	if first > 1 && s.mark+1 < first {
		return damagedAt(first, fmt.Sprintf("it is the first, and only those up to %d were to be purged", s.mark))
	}
	return nil
}

// verdict is what became of a commit.
type verdict struct {
	revision int64
	err      error
}

// decide says what becomes of txns, one after the other, if they are applied now, and the changes of those that change
// something.
func (s *state) decide(txns []semper.Txn) (verdicts []verdict, commits [][]change) {
	over := map[string]int64{} // versions that txns before have given; 0: deleted
	version := func(key string) int64 {
		if v, ok := over[key]; ok {
			return v
		}
		if e := s.items.get(key); e != nil {
			return e.version
		}
		return 0
	}
	revision := s.revision
next:
	for _, t := range txns {
		for _, c := range t.If {
			if v := version(c.Key); v != c.Version {
				verdicts = append(verdicts, verdict{err: store.Conflict(c, v)})
				continue next
			}
		}
		var changes []change
		for _, w := range t.Then {
			if w.Delete && version(w.Key) == 0 {
				continue
			}
			c := change{key: w.Key, deleted: w.Delete}
			if !w.Delete {
				c.value = w.Value
			}
			changes = append(changes, c)
		}
		if len(changes) > 0 {
			revision++
			commits = append(commits, changes)
		}
		for _, c := range changes {
			over[c.key] = revision
			if c.deleted {
				over[c.key] = 0
			}
		}
		verdicts = append(verdicts, verdict{revision: revision})
	}
	return verdicts, commits
}

// damagedAt is the error for a stream that is not whole.
func damagedAt(seq uint64, what string) error {
	return &semper.Error{Code: semper.Tampered, Op: "queue", Message: fmt.Sprintf("message %d of the stream: %s", seq, what),
		Hint: "messages of the stream were lost, deleted or changed by others than semper; nothing more is accepted, so that nothing more is lost: " +
			"restore the stream from its backup (nats stream restore), or name another one in the queue's settings"}
}
