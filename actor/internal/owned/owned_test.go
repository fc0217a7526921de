package owned

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"semper/actor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// coins is what the processes of these tests own: some of a number that is counted outside too.
type coins struct {
	n     int
	total *atomic.Int64
}

func (c *coins) Empty() bool { return c.n == 0 }
func (c *coins) Release() {
	if c.n > 0 {
		c.total.Add(-int64(c.n))
		c.n = 0
	}
}

type nobody struct{}

func (nobody) Handle(*actor.Self[int], int) error { return nil }

func start(t *testing.T) actor.PID {
	t.Helper()
	ref, err := actor.Start(context.Background(), actor.Server[int](nobody{}), actor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return ref.PID()
}

func TestThingsGoWithTheirProcess(t *testing.T) {
	t.Parallel()
	for _, parts := range []int{0, 8} {
		var table Table[coins, *coins]
		if parts > 0 {
			table.Split(parts)
		}
		var total atomic.Int64
		add := func(id actor.PID, n int) error {
			return table.With(id, func(c *coins) error {
				c.total = &total
				c.n += n
				total.Add(int64(n))
				return nil
			})
		}
		a, b := start(t), start(t)
		if err := errors.Join(add(a, 3), add(b, 4), add(a, 1)); err != nil || total.Load() != 8 || len(table.Owners()) != 2 {
			t.Errorf("%v, %d, %v", err, total.Load(), table.Owners())
		}
		boom := errors.New("boom")
		if err := table.With(a, func(*coins) error { return boom }); err != boom {
			t.Errorf("the error of f: %v", err)
		}
		a.Kill()
		if total.Load() != 4 || len(table.Owners()) != 1 || table.Known(a, func(*coins) {}) {
			t.Errorf("after the end: %d, %v", total.Load(), table.Owners())
		}
		if err := errors.Join(add(a, 1), add(actor.PID{}, 1)); !errors.Is(err, actor.ErrNoProc) || total.Load() != 4 {
			t.Errorf("the dead: %v, %d", err, total.Load())
		}
		if !table.Known(b, func(c *coins) { c.n = 0 }) || len(table.Owners()) != 0 {
			t.Errorf("one with nothing left is known: %v", table.Owners())
		}
		if err := table.With(b, func(*coins) error { return nil }); err != nil || len(table.Owners()) != 0 {
			t.Errorf("one that got nothing is known: %v, %v", err, table.Owners())
		}
		b.Kill()
	}
}

// TestOneComesWhileAnotherGoes: an owner that has just been found empty does not stand in the way of the next, nor takes
// it along.
func TestOneComesWhileAnotherGoes(t *testing.T) {
	t.Parallel()
	var table Table[coins, *coins]
	var total atomic.Int64
	id := start(t)
	old := table.only.owner(id)
	if err := old.attach(); err != nil {
		t.Fatal(err)
	}
	old.closed = true // as release leaves it, before it goes on to forget
	if err := table.With(id, func(c *coins) error { c.total, c.n = &total, 1; total.Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	old.forget()
	if !table.Known(id, func(*coins) {}) {
		t.Error("the new one went with the old")
	}
	id.Kill()
	if n := total.Load(); n != 0 || len(table.Owners()) != 0 {
		t.Errorf("%d are left to %v", n, table.Owners())
	}
}

// TestComingAndGoingAtOnce has many goroutines give to and take from the same processes while these are killed.
func TestComingAndGoingAtOnce(t *testing.T) {
	t.Parallel()
	var table Table[coins, *coins]
	table.Split(2)
	var total atomic.Int64
	for range 50 {
		ids := []actor.PID{start(t), start(t)}
		var all sync.WaitGroup
		for seed := range 4 {
			rnd := rand.New(rand.NewPCG(uint64(seed), 2))
			all.Go(func() {
				for range 100 {
					id := ids[rnd.IntN(len(ids))]
					if rnd.IntN(2) == 0 {
						err := table.With(id, func(c *coins) error {
							c.total = &total
							c.n++
							total.Add(1)
							return nil
						})
						if err != nil && !errors.Is(err, actor.ErrNoProc) {
							t.Error(err)
						}
					} else {
						table.Known(id, func(c *coins) {
							total.Add(-int64(c.n))
							c.n = 0
						})
					}
				}
			})
		}
		ids[0].Kill()
		all.Wait()
		ids[1].Kill()
		if n := total.Load(); n != 0 || len(table.Owners()) != 0 {
			t.Fatalf("%d are left to %v", n, table.Owners())
		}
	}
}
