package actor

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"semper/supervise"
)

// tally counts what all of many processes have handled.
type tally struct{ n *atomic.Int64 }

func (s tally) Handle(_ *Self[any], _ any) error {
	s.n.Add(1)
	return nil
}

// goroutines counts them when those on their way out are out, or do not seem to be.
func goroutines(want int) (n int) {
	for range 1_000_000 {
		if n = runtime.NumGoroutine(); n <= want {
			break
		}
		runtime.Gosched()
	}
	return n
}

// A million processes live in one program, take messages and end; at rest they have no goroutine.
func TestMillionIdle(t *testing.T) { //nolint:paralleltest // it counts the goroutines of the program
	many := 1_000_000
	switch {
	case testing.Short():
		t.Skip("a million processes take a gigabyte")
	case raceDetector:
		many = 100_000
	}
	before := runtime.NumGoroutine()
	var handled atomic.Int64
	refs := make([]Ref[any], many)
	for i := range refs {
		ref, err := Start[any](quiet, tally{&handled}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		refs[i] = ref
	}
	for round := range 2 {
		for _, r := range refs {
			if err := r.Cast(1); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range refs { // a control comes back when it is at rest
			if err := r.PID().State(quiet, func(any) {}); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range refs {
			for r.PID().Info().Messages != uint64(round+1) {
				runtime.Gosched()
			}
		}
		if n := handled.Load(); n != int64((round+1)*many) {
			t.Fatalf("%d handled of %d", n, (round+1)*many)
		}
	}
	if n := goroutines(before + 10); n > before+10 {
		t.Errorf("%d goroutines for %d processes at rest, %d before them", n, many, before)
	}
	for _, r := range refs {
		if err := r.PID().Shutdown(quiet); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range refs {
		<-r.PID().Gone()
	}
}

// Supervised processes at rest have no goroutine either: neither they nor their supervisor's watch on them.
func TestSupervisedIdleHasNoGoroutine(t *testing.T) { //nolint:paralleltest // it counts the goroutines of the program
	const many = 1000
	before := runtime.NumGoroutine()
	var specs []supervise.ChildSpec
	names := make([]*Name[any], many)
	for i := range many {
		names[i] = NewName[any](fmt.Sprint(i))
		specs = append(specs, Child(fmt.Sprint(i), func() Server[any] { return &script{} }, Options{Name: names[i]}))
	}
	s, err := supervise.Start(context.Background(), supervise.Flags{}, specs, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if got, err := Call(quiet, n, ask); got != 42 || err != nil {
			t.Fatal(got, err)
		}
	}
	if n := goroutines(before + 10); n > before+10 {
		t.Errorf("%d goroutines for %d supervised processes, %d before", n, many, before)
	}
	if err := s.Stop(quiet); err != nil {
		t.Error(err)
	}
}

// Processes that block in a callback keep nobody else from running, however many they are.
func TestBlockersStarveNobody(t *testing.T) {
	t.Parallel()
	many := 10_000
	if raceDetector { // which bears 8,128 goroutines at most
		many = 4_000
	}
	gate := make(chan struct{})
	var inside, out sync.WaitGroup
	inside.Add(many)
	out.Add(many)
	for range many {
		a := must(t, &script{}, Options{})
		_ = a.Cast(func() { inside.Done(); <-gate; out.Done() })
	}
	inside.Wait()
	free := must(t, &script{}, Options{})
	for range 1000 {
		if n, err := Call(quiet, free, ask); n != 42 || err != nil {
			t.Fatal(n, err)
		}
	}
	close(gate)
	out.Wait()
	free.PID().Kill()
}
