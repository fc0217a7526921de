package etcd

import (
	"testing"
	"time"

	"semper/queue"
)

// Names of blocks have few random bits, and those of one commit differ all the same: a store refuses two writes to one key.
func TestBlocksOfACommitHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	drawn := 0
	e := &Engine{packLeast: 1, newID: func(now time.Time) queue.ID {
		id := queue.IDAt(now)
		id[7] = byte(drawn / 3) // each name comes three times
		drawn++
		return id
	}}
	var ops []*op
	for range 5 {
		ops = append(ops, &op{fresh: &fresh{text: make([]byte, packBytes)}})
	}
	var c composed
	if named, err := (&Queue{e: e, prefix: "q/"}).pack(&c, ops); err != nil || !named {
		t.Fatal(named, err)
	}
	keys := map[string]bool{}
	for _, w := range c.txn.Then {
		if keys[w.Key] {
			t.Errorf("two writes to %s", w.Key)
		}
		keys[w.Key] = true
	}
	if len(keys) != 10 || len(c.txn.If) != 5 {
		t.Errorf("%d keys and %d conditions of 5 blocks", len(keys), len(c.txn.If))
	}
}
