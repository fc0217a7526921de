package statem_test

import (
	"testing"
	"time"

	"semper/actor"
	"semper/actor/statem"
)

// toggle changes its state with every message, and asks for a timeout in every state.
type toggle struct{ timeout time.Duration }

func (m toggle) Handle(t *statem.Turn[int, any], msg any) error {
	t.Goto(1 - t.State())
	if m.timeout > 0 {
		t.StateTimeout(m.timeout, nil)
	}
	if from, ok := msg.(actor.From[string]); ok {
		from.Reply("")
	}
	return nil
}

func benchCall(b *testing.B, timeout time.Duration) {
	ref, err := statem.Start[int, any](b.Context(), 0, toggle{timeout}, actor.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer ref.PID().Kill()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := actor.Call(b.Context(), ref, where); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallAndChange(b *testing.B)           { benchCall(b, 0) }
func BenchmarkCallAndChangeAndTimeout(b *testing.B) { benchCall(b, time.Hour) }

// BenchmarkNextEvent is the cost of a turn alone.
func BenchmarkNextEvent(b *testing.B) {
	left := b.N
	done := make(chan struct{})
	m := handle(func(t *statem.Turn[int, any], m any) error {
		if left--; left < 0 {
			close(done)
			return nil
		}
		t.Goto(1 - t.State())
		t.NextEvent(m)
		return nil
	})
	ref, err := statem.Start[int, any](b.Context(), 0, m, actor.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer ref.PID().Kill()
	b.ReportAllocs()
	b.ResetTimer()
	_ = ref.Cast(nil)
	<-done
}

// BenchmarkPostponed puts 1,000 messages aside and takes them back, one of which is an operation.
func BenchmarkPostponed(b *testing.B) {
	const many = 1000
	done := make(chan struct{})
	again := 0
	m := handle(func(t *statem.Turn[int, any], m any) error {
		switch {
		case m == "go":
			t.Goto(1)
		case t.State() == 0:
			t.Postpone()
		default:
			if again++; again == many {
				again = 0
				t.Goto(0)
				done <- struct{}{}
			}
		}
		return nil
	})
	ref, err := statem.Start[int, any](b.Context(), 0, m, actor.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer ref.PID().Kill()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N/many + 1 {
		for range many {
			_ = ref.Cast("x")
		}
		_ = ref.Cast("go")
		<-done
	}
}
