package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"semper/actor"
)

// TestManyAtOnce lets processes register and unregister while others are killed and everyone looks: a unique key has one
// living process at most, what one has registered is its until it gives it back or ends, and nothing is left.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, keys := range []Keys{Unique, Duplicate, DuplicateByKey} {
		for _, partitions := range []int{1, 8} {
			t.Run(fmt.Sprintf("%v/%d", keys, partitions), func(t *testing.T) {
				t.Parallel()
				c := &crowd{t: t, r: New[int, int](Options{Keys: keys, Partitions: partitions})}
				c.r.Listen(func(Event[int, int]) { c.events.Add(1) })
				var all sync.WaitGroup
				for seed := range 8 {
					all.Go(func() { c.member(rand.New(rand.NewPCG(uint64(seed), 1))) })
				}
				all.Wait()
				empty(t, c.r)
				if c.events.Load() == 0 || c.ended.Load() == 0 {
					t.Errorf("%d events, %d ends: nothing was tried", c.events.Load(), c.ended.Load())
				}
			})
		}
	}
}

type crowd struct {
	t             *testing.T
	r             *Registry[int, int]
	holders       [8]atomic.Pointer[actor.PID]
	inside        [8]atomic.Int32
	events, ended atomic.Int64
}

// member starts a process, has it do things, and kills it in the middle of one, again and again.
func (c *crowd) member(rnd *rand.Rand) {
	for range 60 {
		ref, err := actor.Start(quiet, actor.Server[job](&worker{}), actor.Options{})
		if err != nil {
			c.t.Error(err)
			return
		}
		_ = do(c.t, ref, func(self *actor.Self[job]) error { c.act(self, rnd.IntN(len(c.holders)), 0); return nil })
		for range rnd.IntN(20) {
			key, what := rnd.IntN(len(c.holders)), rnd.IntN(6)
			_ = ref.Cast(job{do: func(self *actor.Self[job]) error { c.act(self, key, what); return nil }})
			c.look(rnd.IntN(len(c.holders)))
		}
		if rnd.IntN(2) == 0 { // half of them are killed in the middle of it, half after it
			_ = do(c.t, ref, func(*actor.Self[job]) error { return nil })
		}
		ref.PID().Kill()
		<-ref.PID().Done()
		if n := len(c.r.Keys(ref.PID())); n > 0 {
			c.t.Errorf("%d keys after the end", n)
		}
		<-ref.PID().Gone()
		c.ended.Add(1)
	}
}

// act is in the process.
func (c *crowd) act(self *actor.Self[job], key, what int) {
	id := self.PID()
	switch what {
	case 0, 1, 2:
		if err := c.r.Register(self, key, what); err == nil && c.r.keys == Unique {
			before := c.holders[key].Swap(&id)
			if before != nil && *before != id && before.Alive() && id.Alive() {
				c.t.Errorf("%v and %v both have key %d", *before, id, key)
			}
		} else if err != nil && !errors.Is(err, ErrAlreadyRegistered) && id.Alive() {
			c.t.Error(err)
		}
	case 3:
		c.give(key, id)
		c.r.Unregister(self, key)
	case 4:
		if slices.Contains(c.r.Values(key, id), 1) {
			c.give(key, id)
		}
		c.r.UnregisterMatch(self, key, func(v int) bool { return v == 1 })
	case 5:
		_ = c.r.Lock(self, key, func() error {
			if n := c.inside[key].Add(1); n != 1 && id.Alive() {
				// Another may be in only if it was killed there.
				c.t.Logf("%d are in: one of them was killed", n)
			}
			c.inside[key].Add(-1)
			return nil
		})
	}
}

// give notes, before it is so, that a process does not hold a key any more.
func (c *crowd) give(key int, id actor.PID) {
	if had := c.holders[key].Load(); had != nil && *had == id {
		c.holders[key].CompareAndSwap(had, nil)
	}
}

// look is outside.
func (c *crowd) look(key int) {
	if e, ok := c.r.Find(key); ok && e.Key != key {
		c.t.Errorf("looked for %d, found %v", key, e)
	}
	seen := map[actor.PID]bool{}
	for _, e := range c.r.Lookup(key) {
		if c.r.keys == Unique && len(seen) > 0 {
			c.t.Errorf("a second %v", e)
		}
		seen[e.PID] = true
	}
	c.r.DispatchParallel(key, func(es []Entry[int, int]) {
		for _, e := range es {
			_ = c.r.Values(key, e.PID)
		}
	})
}

// TestLockIsForOneOfMany counts without an atomic what only one may count at a time; the race detector is the judge.
func TestLockIsForOneOfMany(t *testing.T) {
	t.Parallel()
	r := New[string, int](Options{Partitions: 4})
	n := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if err := r.Lock(quiet, "n", func() error { n++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n != 8*200 {
		t.Errorf("%d, want %d", n, 8*200)
	}
	empty(t, r)
}
