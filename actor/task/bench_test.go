package task_test

import (
	"context"
	"testing"

	"semper/actor"
	"semper/actor/task"
)

func BenchmarkAsyncAwait(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if v, err := task.Async(context.Background(), answer(1)).Await(context.Background()); v != 1 || err != nil {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkAsyncAwaitOfAProcess is the same with links, in a callback.
func BenchmarkAsyncAwaitOfAProcess(b *testing.B) {
	o := &owner{}
	ref, err := actor.Start(context.Background(), actor.Server[job](o), actor.Options{})
	if err != nil {
		b.Fatal(err)
	}
	o.ref = ref
	defer ref.PID().Kill()
	b.ReportAllocs()
	err = o.do(func(self *actor.Self[job]) error {
		for b.Loop() {
			if _, err := task.Async(self, answer(1)).Await(self); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAsyncAwaitUnder(b *testing.B) {
	s := task.NewSupervisor(flags, silent)
	d, err := s.Start(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Stop(context.Background()) }()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := task.Async(context.Background(), answer(1), task.Under(s)).Await(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAwaitMany is per task, of 100 that are awaited together.
func BenchmarkAwaitMany(b *testing.B) {
	all := make([]*task.Task[int], 100)
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(all) {
		for j := range all {
			all[j] = task.Async(context.Background(), answer(1))
		}
		if _, err := task.AwaitMany(context.Background(), all...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream is per item.
func BenchmarkStream(b *testing.B) {
	b.ReportAllocs()
	for _, err := range task.Stream(context.Background(), upTo(b.N), func(_ context.Context, n int) (int, error) { return n, nil }, task.StreamOptions{}) {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGoroutineAndChannel is the least that a function with a result in a goroutine of its own can cost.
func BenchmarkGoroutineAndChannel(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		result := make(chan int, 1)
		go func() { result <- 1 }()
		if <-result != 1 {
			b.Fatal()
		}
	}
}
