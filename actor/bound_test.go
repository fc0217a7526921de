package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// gated handles a message for each token it is given, and answers calls by their number.
type gated struct {
	gate chan struct{}
	got  []int
}

type numbered struct {
	n    int
	from From[int]
}

func (g *gated) Handle(_ *Self[numbered], m numbered) error {
	<-g.gate
	g.got = append(g.got, m.n)
	m.from.Reply(m.n)
	return nil
}

func (g *gated) Info(_ *Self[numbered], info any) error {
	<-g.gate
	g.got = append(g.got, info.(int))
	return nil
}

// newGated is at work on message 0, so that what comes next waits.
func newGated(t testing.TB, box Mailbox) (*gated, Ref[numbered]) {
	t.Helper()
	g := &gated{gate: make(chan struct{})}
	ref, err := Start(quiet, Server[numbered](g), Options{Mailbox: box})
	if err != nil {
		t.Fatal(err)
	}
	_ = ref.Cast(numbered{})
	synctest.Wait()
	return g, ref
}

func call(ctx context.Context, ref Ref[numbered], n int) (int, error) {
	return Call(ctx, ref, func(f From[int]) numbered { return numbered{n, f} })
}

func TestOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			o       Overflow
			cast    error // of the one message more
			call    error
			evicted error // what the call that waited longest gets
			handled []int
			dropped uint64
		}{
			{Reject, ErrMailboxFull, ErrMailboxFull, nil, []int{0, 1, 2}, 0},
			{DropNewest, nil, ErrDropped, nil, []int{0, 1, 2}, 2},
			{DropOldest, nil, nil, ErrDropped, []int{0, 3, 4}, 2},
			{Wait, nil, nil, nil, []int{0, 1, 2, 3, 4}, 0},
		} {
			g, ref := newGated(t, Mailbox{Limit: 2, Overflow: c.o})
			var all sync.WaitGroup
			check := func(what string, want error, f func() error) {
				all.Go(func() {
					if err := f(); !errors.Is(err, want) {
						t.Errorf("%v: %s: %v", c.o, what, err)
					}
				})
				synctest.Wait()
			}
			check("first call", c.evicted, func() error { _, err := call(quiet, ref, 1); return err })
			check("cast that fits", nil, func() error { return ref.Cast(numbered{n: 2}) })
			check("cast", c.cast, func() error { return ref.Cast(numbered{n: 3}) })
			check("call", c.call, func() error {
				n, err := call(quiet, ref, 4)
				if err == nil && n != 4 {
					t.Errorf("%v: answer %d", c.o, n)
				}
				return err
			})
			if i := ref.PID().Info(); i.Mailbox != 2 || i.Dropped != c.dropped {
				t.Errorf("%v: %d wait, %d dropped", c.o, i.Mailbox, i.Dropped)
			}
			close(g.gate)
			all.Wait()
			synctest.Wait()
			if !slices.Equal(g.got, c.handled) {
				t.Errorf("%v: handled %v", c.o, g.got)
			}
			ref.PID().Kill()
		}
	})
}

// Who waits for room is let go by the end of its context, and by the end of the process.
func TestWaitEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, ref := newGated(t, Mailbox{Limit: 1, Overflow: Wait})
		_ = ref.Cast(numbered{n: 1})
		ctx, cancel := context.WithTimeoutCause(quiet, time.Second, errBoom)
		defer cancel()
		if err := ref.CastContext(ctx, numbered{n: 2}); !errors.Is(err, ErrMailboxFull) || !errors.Is(err, errBoom) {
			t.Errorf("%v", err)
		}
		if _, err := call(ctx, ref, 3); !errors.Is(err, errBoom) {
			t.Errorf("%v", err)
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if err := ref.Cast(numbered{n: i}); err != ErrNoProc {
					t.Errorf("cast: %v", err)
				}
			})
			all.Go(func() {
				if _, err := call(quiet, ref, i); err != ErrNoProc {
					t.Errorf("call: %v", err)
				}
			})
		}
		synctest.Wait()
		ref.PID().Kill()
		all.Wait()
		close(g.gate)
	})
}

// A process cannot wait for room in its own mailbox.
func TestWaitForItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := must(t, &script{}, Options{Mailbox: Mailbox{Limit: 1, Overflow: Wait}})
		in(t, a, func(self *Self[any]) {
			_ = self.Ref().CastContext(self, 1)
			if err := self.Ref().CastContext(self, 2); !errors.Is(err, ErrMailboxFull) || !errors.Is(err, ErrCallingSelf) {
				t.Errorf("%v", err)
			}
		})
		a.PID().Kill()
	})
}

// What is no message always fits and takes no room from the messages; a bounded process can be told of ends, and stopped.
func TestInfosAlwaysFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for o := Reject; o <= Wait; o++ {
			g, ref := newGated(t, Mailbox{Limit: 2, Overflow: o})
			for i := range 5 {
				_ = ref.PID().Inform(10 + i)
			}
			_ = ref.Cast(numbered{n: 1})
			_ = ref.PID().Inform(20)
			if err := ref.Cast(numbered{n: 2}); err != nil {
				t.Errorf("%v: infos take the room of messages: %v", o, err)
			}
			want := []int{0, 10, 11, 12, 13, 14, 1, 20, 2}
			if o == DropOldest {
				_ = ref.Cast(numbered{n: 3})
				want = []int{0, 10, 11, 12, 13, 14, 20, 2, 3}
			}
			if i := ref.PID().Info(); i.Mailbox != 8 {
				t.Errorf("%v: %d wait", o, i.Mailbox)
			}
			close(g.gate)
			synctest.Wait()
			if !slices.Equal(g.got, want) {
				t.Errorf("%v: %v", o, g.got)
			}
			ref.PID().Kill()
		}
	})
}

// Each sender's messages arrive in its order, and no sender waits while a later one is served.
func TestWaitIsFair(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const senders, each = 50, 20
		g, ref := newGated(t, Mailbox{Limit: 3, Overflow: Wait})
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := range each {
					if err := ref.Cast(numbered{n: 1 + s*each + i}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 1 + senders*each {
			synctest.Wait()
			g.gate <- struct{}{}
		}
		all.Wait()
		synctest.Wait()
		next := make([]int, senders)
		for _, n := range g.got[1:] {
			s, i := (n-1)/each, (n-1)%each
			if next[s] != i {
				t.Fatalf("sender %d: message %d instead of %d", s, i, next[s])
			}
			next[s]++
			if low := slices.Min(next); next[s] > low+4 { // 3 in the mailbox before anyone waits
				t.Fatalf("sender %d has sent %d, another %d", s, next[s], low)
			}
		}
		if len(g.got) != 1+senders*each {
			t.Errorf("%d handled", len(g.got))
		}
		ref.PID().Kill()
	})
}

// Any sequence of casts, infos and handling does what a plain list would.
func TestOverflowModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		box := Mailbox{Limit: rapid.IntRange(0, 5).Draw(rt, "limit"), Overflow: Overflow(rapid.IntRange(0, 3).Draw(rt, "overflow"))}
		ops := rapid.SliceOfN(rapid.SampledFrom([]string{"cast", "cast", "cast", "info", "handle", "handle", "suspend", "resume"}), 1, 80).Draw(rt, "ops")
		fault := ""
		synctest.Test(t, func(t *testing.T) { fault = overflows(t, box, ops) })
		if fault != "" {
			rt.Fatalf("%+v %v: %s", box, ops, fault)
		}
	})
}

func overflows(t *testing.T, box Mailbox, ops []string) string {
	g, ref := newGated(t, box)
	queue, line, handled, dropped := []int{}, []int{}, []int{}, 0 // infos are negative; 0 is in hand
	inHand, suspended := []int{0}, false
	var asked sync.WaitGroup
	settle := func() {
		for len(inHand) == 0 && len(queue) > 0 && !suspended {
			inHand, queue = queue[:1:1], queue[1:]
			if inHand[0] > 0 && len(line) > 0 {
				queue, line = append(queue, line[0]), line[1:]
			}
		}
	}
	for n, op := range ops {
		n++
		switch op {
		case "cast":
			messages := len(slices.DeleteFunc(slices.Clone(queue), func(n int) bool { return n < 0 }))
			switch {
			case box.Limit == 0 || messages < box.Limit:
				queue = append(queue, n)
			case box.Overflow == DropNewest:
				dropped++
			case box.Overflow == DropOldest:
				i := slices.IndexFunc(queue, func(n int) bool { return n > 0 })
				queue = append(slices.Delete(queue, i, i+1), n)
				dropped++
			case box.Overflow == Wait:
				line = append(line, n)
			}
			asked.Go(func() { _ = ref.Cast(numbered{n: n}) })
		case "info":
			queue = append(queue, -n)
			_ = ref.PID().Inform(-n)
		case "handle":
			if len(inHand) > 0 {
				handled, inHand = append(handled, inHand[0]), nil
				g.gate <- struct{}{}
			}
		case "suspend":
			suspended = true
			asked.Go(func() { _ = ref.PID().Suspend(quiet) })
		default:
			suspended = false
			asked.Go(func() { _ = ref.PID().Resume(quiet) })
		}
		settle()
		synctest.Wait()
		i := ref.PID().Info()
		is := fmt.Sprint(g.got, i.Mailbox, i.Dropped)
		if should := fmt.Sprint(handled, len(queue), dropped); is != should {
			ref.PID().Kill()
			close(g.gate)
			asked.Wait()
			return fmt.Sprintf("after %d: is %s, should %s", n, is, should)
		}
	}
	ref.PID().Kill()
	close(g.gate)
	asked.Wait()
	return ""
}
