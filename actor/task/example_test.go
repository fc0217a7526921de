package task_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"semper/actor"
	"semper/actor/task"
	"semper/supervise"
)

func ExampleAsync() {
	ctx := context.Background()
	sum := task.Async(ctx, func(context.Context) (int, error) { return 40 + 2, nil })
	broken := task.Async(quiet, func(context.Context) (int, error) { panic("no such luck") })

	fmt.Println(sum.Await(ctx))
	_, err := broken.Await(ctx)
	var crash *actor.PanicError
	if errors.As(err, &crash) {
		fmt.Println("the task panicked:", crash.Value)
	}
	// Output:
	// 42 <nil>
	// the task panicked: no such luck
}

func ExampleTask_Yield() {
	ctx := context.Background()
	goOn := make(chan struct{})
	slow := task.Async(ctx, func(context.Context) (string, error) { <-goOn; return "done", nil })

	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := slow.Yield(short); errors.Is(err, task.ErrRunning) {
		fmt.Println("not yet")
	}
	close(goOn)
	fmt.Println(slow.Yield(ctx))
	// Output:
	// not yet
	// done <nil>
}

func ExampleTask_Shutdown() {
	ctx := context.Background()
	count := task.Async(ctx, func(ctx context.Context) (string, error) {
		<-ctx.Done()                   // it is asked to end
		return "as far as I came", nil // and has something all the same
	})
	nothing := task.Async(ctx, func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})

	grace, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println(count.Shutdown(grace))
	_, err := nothing.Shutdown(grace)
	fmt.Println(errors.Is(err, task.ErrShutdown))
	// Output:
	// as far as I came <nil>
	// true
}

func ExampleAwaitMany() {
	ctx := context.Background()
	square := func(n int) *task.Task[int] {
		return task.Async(ctx, func(context.Context) (int, error) { return n * n, nil })
	}
	fmt.Println(task.AwaitMany(ctx, square(1), square(2), square(3)))
	// Output: [1 4 9] <nil>
}

func ExampleYieldMany() {
	ctx := context.Background()
	quick := task.Async(ctx, func(context.Context) (string, error) { return "quick", nil })
	slow := task.Async(ctx, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })

	// The first of two answers is enough.
	all, _ := task.YieldMany(ctx, task.YieldOptions{Limit: 1}, quick, slow)
	for _, o := range all {
		fmt.Printf("%q, running %v\n", o.Value, errors.Is(o.Err, task.ErrRunning))
	}
	_, _ = slow.Shutdown(ctx)
	// Output:
	// "quick", running false
	// "", running true
}

func ExampleStream() {
	words := slices.Values([]string{"let", "it", "", "crash"})
	size := func(_ context.Context, word string) (int, error) {
		if word == "" {
			return 0, errors.New("no word")
		}
		return len(word), nil
	}
	for n, err := range task.Stream(context.Background(), words, size, task.StreamOptions{MaxConcurrency: 2}) {
		fmt.Println(n, err)
	}
	// Output:
	// 3 <nil>
	// 2 <nil>
	// 0 item 2: no word
	// 5 <nil>
}

// A page is asked for, and shown when it has come.
type (
	show struct{ url string }
	page struct{ text string }
)

// browser is a process that fetches pages without waiting for them: it takes other messages meanwhile.
type browser struct{ shown chan<- string }

func (b *browser) Handle(self *actor.Self[show], m show) error {
	fetch := task.Async(self, func(context.Context) (page, error) { return page{"<" + m.url + ">"}, nil }, task.Nolink())
	return fetch.Tell(self)
}

func (b *browser) Info(_ *actor.Self[show], info any) error {
	if done, ok := info.(task.Outcome[page]); ok {
		b.shown <- fmt.Sprint(done.Value.text, " ", done.Err)
	}
	return nil
}

func ExampleTask_Tell() {
	shown := make(chan string)
	b, err := actor.Start(context.Background(), actor.Server[show](&browser{shown}), actor.Options{})
	if err != nil {
		panic(err)
	}
	_ = b.Cast(show{"a.example"})
	fmt.Println(<-shown)
	b.PID().Kill()
	// Output: <a.example> <nil>
}

// Work that outlives whoever asks for it, bounded, and ended with the program.
func ExampleSupervisor() {
	ctx := context.Background()
	jobs := task.NewSupervisor(supervise.DynamicFlags{Name: "jobs", MaxChildren: 1}, supervise.Options{})
	tree, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{jobs.Child("jobs")}, supervise.Options{})
	if err != nil {
		panic(err)
	}

	_, err = task.Start(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		fmt.Println("tidied up")
		return nil
	}, task.Under(jobs))
	fmt.Println(err)
	_, err = task.Async(ctx, func(context.Context) (int, error) { return 1, nil }, task.Under(jobs)).Await(ctx)
	fmt.Println(errors.Is(err, supervise.ErrMaxChildren))

	_ = tree.Stop(ctx)
	fmt.Println(jobs.Dynamic() == nil)
	// Output:
	// <nil>
	// true
	// tidied up
	// true
}

// A function that ends, such as a migration, in a tree.
func ExampleChild() {
	ctx := context.Background()
	migrated := make(chan struct{})
	migrate := task.Child("migrate", func(context.Context) error {
		slog.Debug("migrating")
		close(migrated)
		return nil
	})
	migrate.Restart = supervise.Transient // again when it failed
	tree, err := supervise.Start(ctx, supervise.Flags{Intensity: 3}, []supervise.ChildSpec{migrate}, supervise.Options{})
	if err != nil {
		panic(err)
	}
	<-migrated
	fmt.Println("migrated", tree.Stop(ctx))
	// Output: migrated <nil>
}
