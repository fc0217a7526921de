package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"semper/supervise"
)

// A task is a goroutine as a child.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the function, once done is closed
}

// run makes a StartFunc of a function that returns when its context ends. The start is acknowledged at once; a
// function with something to prepare would tell when it is ready.
func run(f func(ctx context.Context) error) supervise.StartFunc {
	return func(context.Context) (supervise.Child, error) {
		ctx, cancel := context.WithCancel(context.Background())
		t := &task{cancel: cancel, done: make(chan struct{})}
		go func() {
			defer close(t.done)
			t.err = f(ctx)
		}()
		return t, nil
	}
}

func (t *task) Done() <-chan struct{} { return t.done }
func (t *task) Shutdown()             { t.cancel() }
func (t *task) Kill()                 { t.cancel() } // nobody can kill a goroutine

func (t *task) Reason() supervise.Reason {
	switch {
	case t.err == nil:
		return supervise.Reason{Kind: supervise.Normal}
	case errors.Is(t.err, context.Canceled):
		return supervise.Reason{Kind: supervise.Shutdown}
	}
	return supervise.Reason{Kind: supervise.Crash, Err: t.err}
}

func wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// A worker that crashes is restarted; nothing else notices.
func Example() {
	ctx := context.Background()
	var attempts int
	worker := func(ctx context.Context) error {
		attempts++
		if attempts == 1 {
			return errors.New("out of luck")
		}
		return wait(ctx)
	}
	var up sync.WaitGroup
	up.Add(3) // clock, worker, and worker again
	s, err := supervise.Start(ctx, supervise.Flags{Name: "app", Intensity: 3, Period: time.Minute}, []supervise.ChildSpec{
		{ID: "clock", Start: run(wait)},
		{ID: "worker", Start: run(worker)},
	}, supervise.Options{Observe: func(e supervise.Event) {
		if e.Kind == supervise.Ended {
			fmt.Printf("%s %v (%v): %s\n", e.Child, e.Kind, e.Reason, e.Decision)
		}
		if e.Kind == supervise.Started {
			up.Done()
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	up.Wait()
	for _, c := range s.Children() {
		fmt.Println(c.ID, c.State, c.Restarts)
	}
	fmt.Println(s.Stop(ctx))
	// Output:
	// worker ended (crash: out of luck): restart at once
	// clock running 0
	// worker running 1
	// <nil>
}

// Supervisors nest: one that gives up ends with Shutdown, and the one above decides.
func Example_tree() {
	ctx := context.Background()
	inner := func(ctx context.Context) (supervise.Child, error) {
		return supervise.Start(ctx, supervise.Flags{Name: "inner"}, []supervise.ChildSpec{
			{ID: "hopeless", Start: run(func(context.Context) error { return errors.New("no disk") })},
		}, supervise.Options{})
	}
	outer, err := supervise.Start(ctx, supervise.Flags{Name: "outer", Intensity: 2}, []supervise.ChildSpec{
		{ID: "inner", Start: inner, Supervisor: true},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-outer.Done()
	fmt.Println(outer.Reason())
	// Output:
	// shutdown: inner: restart limit passed: 3 restarts in 5s
}

// A service whose instances are independent goes on restarting a bad one at back-off, and leaves the good ones alone.
func Example_persist() {
	ctx := context.Background()
	gaveUp := make(chan string, 1)
	s, err := supervise.Start(ctx, supervise.Flags{Name: "web", Intensity: 2, Period: time.Minute, GiveUp: supervise.Persist},
		[]supervise.ChildSpec{
			{ID: "web.1", Start: run(wait)},
			{
				ID:      "web.2",
				Start:   run(func(context.Context) error { return errors.New("bad config") }),
				Backoff: supervise.Backoff{Min: time.Millisecond, Max: time.Second},
			},
		}, supervise.Options{Observe: func(e supervise.Event) {
			if e.Kind == supervise.GaveUp {
				gaveUp <- e.Child + ": " + e.Decision
			}
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-gaveUp)
	fmt.Println(s.Children()[0].State)
	fmt.Println(s.Stop(ctx))
	// Output:
	// web.2: give up: 3 restarts in 1m0s, still restart in 2ms
	// running
	// <nil>
}
