package supervise

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"
)

// Not parallel: it compares times.
//
//nolint:paralleltest // it compares times
func TestScenario83ScaleStartStop(t *testing.T) {
	life := func(n int) time.Duration {
		runtime.GC()
		began := time.Now()
		d, err := StartDynamic(bg, DynamicFlags{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		spec := ChildSpec{Start: newStill}
		for range n {
			if _, err := d.StartChild(bg, spec); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Stop(bg); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	best := func(n, rounds int) time.Duration {
		fastest := life(n)
		for range rounds - 1 {
			fastest = min(fastest, life(n))
		}
		return fastest / time.Duration(n)
	}
	few, many := best(10_000, 3), best(100_000, 1)
	if many > 3*few { // it was somebody else's turn on this machine, or is it?
		many = best(100_000, 3)
	}
	if many > 3*few {
		t.Errorf("per child %v of 100,000, %v of 10,000", many, few)
	}
}

// The core itself takes the same steps for each child, however many there are.
func TestScenario83StepsOfTheCore(t *testing.T) {
	t.Parallel()
	work := func(n int) (inputs, commands int) {
		now := time.Unix(0, 0)
		c := newDynamicCore(Flags{Intensity: 1, Period: time.Second}, 0, now, nil)
		var todo []input
		do := func(in input) {
			inputs++
			_, cmds := c.step(now, in)
			commands += len(cmds)
			for _, cmd := range cmds {
				switch cmd.verb {
				case doStart:
					todo = append(todo, answered{kid: cmd.kid, n: cmd.n, child: new(still)})
				case doShutdown:
					todo = append(todo, &ended{kid: cmd.kid, n: cmd.n, reason: Reason{Kind: Shutdown}})
				}
			}
		}
		do(&call{op: opBoot})
		for range n {
			do(&call{op: opStart, spec: ChildSpec{Start: newStill}})
		}
		todo = append(todo, stop{reason: Reason{Kind: Shutdown}})
		for len(todo) > 0 {
			in := todo[0]
			todo = todo[1:]
			do(in)
		}
		if c.stage != over || c.kids.size != 0 || len(c.byChild) != 0 || len(c.timers) != 0 {
			t.Errorf("left: stage %d, %d kids, %d names, %d timers", c.stage, c.kids.size, len(c.byChild), len(c.timers))
		}
		return inputs, commands
	}
	in1, out1 := work(1_000)
	in2, out2 := work(100_000)
	if in2-2 != 100*(in1-2) || out2-1 != 100*(out1-1) {
		t.Errorf("1,000: %d inputs, %d commands; 100,000: %d, %d", in1, out1, in2, out2)
	}
}

// A Temporary's spec is not kept after its end, and what its StartFunc holds not even while it runs.
func TestScenario60And85And86TemporaryIsForgotten(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(ChildSpec) (stop func(), err error){
		"supervisor": func(s ChildSpec) (func(), error) {
			sup, err := Start(bg, Flags{}, []ChildSpec{s}, Options{})
			return func() { _ = sup.Stop(bg) }, err
		},
		"start child": func(s ChildSpec) (func(), error) {
			sup, err := Start(bg, Flags{}, nil, Options{Observe: func(Event) {}})
			if err == nil {
				err = sup.StartChild(bg, s)
			}
			return func() { _ = sup.Stop(bg) }, err
		},
		"dynamic": func(s ChildSpec) (func(), error) {
			d, err := StartDynamic(bg, DynamicFlags{}, Options{})
			if err == nil {
				_, err = d.StartChild(bg, s)
			}
			return func() { _ = d.Stop(bg) }, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ends func()
			var argument weak.Pointer[[1 << 20]byte]
			var incarnation weak.Pointer[still]
			var stop func()
			func() {
				large, child := new([1 << 20]byte), new(still)
				argument, incarnation = weak.Make(large), weak.Make(child)
				ends = func() { incarnation.Value().ends(Reason{Kind: Crash}) }
				var err error
				stop, err = start(ChildSpec{ID: "t", Restart: Temporary, Start: func(context.Context) (Child, error) {
					large[0]++
					return child, nil
				}})
				if err != nil {
					t.Fatal(err)
				}
			}()
			defer stop()
			collected(t, "the arguments of one that runs", func() bool { return argument.Value() == nil })
			ends()
			collected(t, "one that has ended", func() bool { return incarnation.Value() == nil })
		})
	}
}

// collected waits for the collector, and gives up only when the test does.
func collected(t *testing.T, what string, gone func() bool) {
	t.Helper()
	for range 1000 {
		runtime.GC()
		if gone() {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%s is kept", what)
}

// Very many temporary children leave nothing behind.
func TestScenario84ManyTemporaryChildren(t *testing.T) {
	t.Parallel()
	d, err := StartDynamic(bg, DynamicFlags{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var hands sync.WaitGroup
	for range 4 {
		hands.Go(func() {
			for range 5_000 {
				child, err := d.StartChild(bg, ChildSpec{Restart: Temporary, Start: newStill})
				if err != nil {
					t.Error(err)
					return
				}
				child.(*still).ends(Reason{Kind: Killed})
			}
		})
	}
	hands.Wait()
	for d.Count().Specs > 0 { // the last ends are under way
		runtime.Gosched()
	}
	d.mu.Lock()
	left, names := d.core.kids, len(d.core.byChild)
	d.mu.Unlock()
	if left.first != nil || left.last != nil || names != 0 {
		t.Errorf("%+v, %d names", left, names)
	}
	if err := d.Stop(bg); err != nil {
		t.Error(err)
	}
}

// The context of a start is let go when the start is over, also by the goroutine that watches the child.
func TestContextOfAStartIsReleased(t *testing.T) {
	t.Parallel()
	for name, child := range map[string]Child{"notifier": new(still), "watched": quick{done: make(chan struct{})}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ctx, closure weak.Pointer[[64]byte]
			s, err := Start(bg, Flags{}, []ChildSpec{{ID: "a", Restart: Temporary, Start: func() StartFunc {
				own := new([64]byte)
				closure = weak.Make(own)
				return func(c context.Context) (Child, error) {
					held := new([64]byte)
					ctx = weak.Make(held)
					own[0]++
					context.AfterFunc(c, func() { held[0]++ }) // what hangs on the context lives as long as it
					return child, nil
				}
			}()}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			collected(t, "the context", func() bool { return ctx.Value() == nil })
			collected(t, "the StartFunc", func() bool { return closure.Value() == nil })
			if err := s.Stop(bg); err != nil {
				t.Error(err)
			}
		})
	}
}

// There may be a million kids; BenchmarkIdleChild tells what one costs with all that belongs to it.
func TestKidIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(kid{}); size > 192 {
		t.Errorf("%d B", size)
	}
}

// A Dynamic forgets a child even when it is told of its end before anything else.
func TestDynamicChildThatEndsAtOnce(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		child, err := d.StartChild(bg, ChildSpec{Restart: Temporary, Start: func(context.Context) (Child, error) {
			c := new(still)
			c.ends(Reason{Kind: Normal})
			return c, nil
		}})
		l.ok(err)
		synctest.Wait()
		if child == nil || d.Count() != (Counts{}) {
			t.Errorf("%v, %+v", child, d.Count())
		}
	})
}
