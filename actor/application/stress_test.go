package application

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"semper/supervise"
)

// sane are the answers that calls may get when all happens at once.
var sane = []error{
	ErrAlreadyStarted, ErrNotStarted, ErrStopping, errBoom, context.DeadlineExceeded, ErrNotLoaded, ErrAlreadyLoaded, ErrStarted, errEnded,
}

var errEnded = errors.New("ended by itself")

// Many goroutines start, stop, load, unload and crash applications at once, some of which fail. Of one application there
// are never two trees, every call comes back with an answer that makes sense, and in the end nothing is left. The bubble
// finds every deadlock.
func TestStress(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) { stress(t, l, seed) })
		})
	}
}

// dice is a source of chance for many goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) pause() { time.Sleep(time.Duration(d.roll(2000)) * time.Microsecond) }

func stress(t *testing.T, l *lab, seed uint64) {
	d := &dice{r: rand.New(rand.NewPCG(seed, 1))}
	var mu sync.Mutex
	alive := map[string]*tree{}
	describe := func(name string, typ Type, dependencies ...string) Application {
		step := func(ctx context.Context) error {
			select {
			case <-time.After(time.Duration(d.roll(2000)) * time.Microsecond):
			case <-ctx.Done():
				return ctx.Err()
			}
			if d.roll(20) == 0 {
				return errBoom
			}
			return nil
		}
		a := Application{Name: name, Type: typ, Dependencies: dependencies, Stop: step, PrepStop: step}
		a.Phases = []Phase{{"init", step}, {"go", step}}[:d.roll(3)]
		a.Start = func(ctx context.Context) (supervise.Child, error) {
			if err := step(ctx); err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			if old := alive[name]; old != nil && !old.over() {
				t.Errorf("two trees of %s", name)
			}
			alive[name] = &tree{lab: l, name: name, done: make(chan struct{})}
			return alive[name], nil
		}
		return a
	}
	apps := []Application{
		describe("a", Temporary), describe("b", Temporary, "a"), describe("c", Temporary, "a"), describe("d", Temporary, "b", "c"),
		describe("e", Transient), describe("f", Type(d.roll(3)), "e"),
	}
	c := l.controller(apps...)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 30 {
				d.pause()
				act(t, c, d, apps[d.roll(len(apps))])
			}
		})
	}
	all.Go(func() {
		for range 20 {
			d.pause()
			mu.Lock()
			it := alive[apps[d.roll(len(apps))].Name]
			mu.Unlock()
			if it != nil {
				it.end(supervise.Reason{Kind: supervise.ReasonKind(d.roll(4)), Err: errEnded})
			}
		}
	})
	all.Wait()
	if d.roll(3) == 0 {
		c.Kill()
	}
	l.down(c)
	for name, it := range alive {
		if !it.over() {
			t.Errorf("%s is left", name)
		}
	}
	for _, i := range c.Loaded() {
		if i.State != StateLoaded {
			t.Errorf("%s is %v", i.Name, i.State)
		}
	}
}

func (t *tree) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// act makes one call.
func act(t *testing.T, c *Controller, d *dice, a Application) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+d.roll(20))*time.Millisecond)
	defer cancel()
	var err error
	switch d.roll(12) {
	case 0, 1, 2:
		err = c.Start(ctx, a.Name)
	case 3, 4, 5:
		_, err = c.EnsureAllStarted(ctx, a.Name)
	case 6, 7, 8:
		err = c.Stop(ctx, a.Name)
	case 9:
		if err = c.Unload(a.Name); err == nil {
			d.pause()
			err = c.Load(a)
		}
	case 10:
		_, _, _ = c.Which(), c.Blocking(), c.Env(a.Name)
	case 11:
		if d.roll(30) == 0 {
			c.Shutdown()
		}
	}
	for _, s := range sane {
		if err == nil || errors.Is(err, s) {
			return
		}
	}
	t.Errorf("an answer that makes no sense: %v", err)
}
