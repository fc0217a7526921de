package semper

import (
	"context"
	"errors"
)

// Store is the one source of truth. What Commit has acknowledged survives kill -9 and power loss
// (law L6). Implementations are safe for concurrent use; store/storetest is the contract.
type Store interface {
	// Get is the value at key, linearizable. ErrNotFound when there is none.
	Get(ctx context.Context, key string) (Item, error)
	// List is every item below prefix in key order, and the store revision it was read at.
	List(ctx context.Context, prefix string) ([]Item, int64, error)
	// Commit performs all writes or none. ErrConflict when a condition does not hold.
	// It returns the store revision of the writes.
	Commit(ctx context.Context, t Txn) (int64, error)
	// Watch sends every change below prefix with a revision > after, in order, each commit's changes
	// in one batch, until ctx ends or the store is lost; then the channel is closed. After a close the
	// caller lists again and watches from that revision.
	Watch(ctx context.Context, prefix string, after int64) (<-chan []Change, error)
	// Lead blocks until this process leads role, or ctx ends. The leadership ends with ctx, with
	// Resign, or with the store; Done tells. Its Fence goes into every Txn (law L7).
	Lead(ctx context.Context, role, id string) (Leadership, error)
	Close() error
}

// Store sentinels.
var (
	ErrNotFound = errors.New("no such key")
	ErrConflict = errors.New("condition does not hold")
	ErrCorrupt  = errors.New("stored value does not have its checksum")
)

// Item is a stored value. Version is the revision of its last change, for conditions.
type Item struct {
	Key     string
	Value   []byte
	Version int64
}

// Txn is a set of conditions and the writes that happen if all of them hold.
type Txn struct {
	If   []Condition
	Then []Write
}

// Condition: the key's Version is exactly this one; 0 means the key does not exist.
type Condition struct {
	Key     string
	Version int64
}

// Write puts Value at Key, or deletes Key where Delete is set.
type Write struct {
	Key    string
	Value  []byte
	Delete bool
}

// Change is one write seen by a watcher.
type Change struct {
	Item
	Deleted bool
}

// Leadership of a role.
type Leadership interface {
	Fence() Condition      // holds exactly while this leadership does
	Done() <-chan struct{} // closed when the leadership is lost
	Resign(ctx context.Context) error
}
