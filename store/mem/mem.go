package mem

import (
	"context"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/store"
)

// Store is a [semper.Store] in memory. Its methods are safe for concurrent use.
type Store struct {
	wg sync.WaitGroup // one per watch and per leadership

	mu sync.Mutex // guards the following

	items     map[string]semper.Item
	revision  int64
	history   []commit // ascending, every change after compacted
	compacted int64
	watches   map[*watch]bool
	changed   chan struct{} // closed and replaced with each commit that changes something
	closed    bool
	done      chan struct{} // closed by Close
}

type commit struct {
	revision int64
	changes  []semper.Change
}

var _ semper.Store = (*Store)(nil)

// New is an empty store at revision 1.
func New() *Store {
	return &Store{
		items: map[string]semper.Item{}, revision: 1,
		watches: map[*watch]bool{}, changed: make(chan struct{}), done: make(chan struct{}),
	}
}

// Get is the value at key.
func (s *Store) Get(ctx context.Context, key string) (semper.Item, error) {
	if err := ctx.Err(); err != nil {
		return semper.Item{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return semper.Item{}, store.Closed()
	}
	it, ok := s.items[key]
	if !ok {
		return semper.Item{}, store.NotFound(key)
	}
	return clone(it), nil
}

// List is every item below prefix in key order, and the revision.
func (s *Store) List(ctx context.Context, prefix string) ([]semper.Item, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, store.Closed()
	}
	var items []semper.Item
	for k, it := range s.items {
		if strings.HasPrefix(k, prefix) {
			items = append(items, clone(it))
		}
	}
	slices.SortFunc(items, func(a, b semper.Item) int { return strings.Compare(a.Key, b.Key) })
	return items, s.revision, nil
}

// Commit performs all writes or none.
func (s *Store) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if err := store.Check(t); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commitLocked(t)
}

func (s *Store) commitLocked(t semper.Txn) (int64, error) {
	if s.closed {
		return 0, store.Closed()
	}
	for _, c := range t.If {
		if v := s.items[c.Key].Version; v != c.Version {
			return 0, store.Conflict(c, v)
		}
	}
	next := s.revision + 1
	var changes []semper.Change
	for _, w := range t.Then {
		if w.Delete {
			if _, ok := s.items[w.Key]; !ok {
				continue
			}
			delete(s.items, w.Key)
			changes = append(changes, semper.Change{Item: semper.Item{Key: w.Key, Version: next}, Deleted: true})
			continue
		}
		it := clone(semper.Item{Key: w.Key, Value: w.Value, Version: next})
		s.items[w.Key] = it
		changes = append(changes, semper.Change{Item: it})
	}
	if len(changes) == 0 {
		return s.revision, nil
	}
	s.revision = next
	s.publishLocked(commit{revision: next, changes: changes})
	return next, nil
}

func (s *Store) publishLocked(c commit) {
	s.history = append(s.history, c)
	close(s.changed)
	s.changed = make(chan struct{})
	for w := range s.watches {
		w.offer(c)
	}
}

// Revision is the present revision.
func (s *Store) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Compact forgets every change up to and including revision: a later Watch after less than it is
// closed at once, as with a real store.
func (s *Store) Compact(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	revision = min(revision, s.revision)
	s.compacted = max(s.compacted, revision)
	i, _ := slices.BinarySearchFunc(s.history, s.compacted+1, func(c commit, r int64) int { return int(c.revision - r) })
	s.history = slices.Clone(s.history[i:])
}

// Disconnect ends every watch, as the loss of a real store may. Contents and leaderships stay.
func (s *Store) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		w.lose()
	}
}

// Close ends every watch and leadership and returns when their goroutines have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

func clone(it semper.Item) semper.Item {
	it.Value = slices.Clone(it.Value)
	return it
}
