package gate

import (
	"testing"

	"semper/edge/balance/admit"
)

// TestGatesLiveOn from table to table, and are forgotten with the last that has them.
func TestGatesLiveOn(t *testing.T) {
	t.Parallel()
	s := NewGates(func() int64 { return 0 }, func(*Gate) bool { return false })
	k := Key{Pool: "app/production/web", Length: 4}
	s.Turn()
	first := s.Of(k, true)
	if s.Of(k, false) != first || !first.critical.Load() {
		t.Error("rules that let wait alike share a gate, which knows that critical requests come by one of them")
	}
	adaptive := k
	if adaptive.Adaptive = true; s.Of(adaptive, false) == first {
		t.Error("an adaptive gate is another one")
	}
	if !first.Enter(1, admit.Normal) || first.Enter(1, admit.Normal) {
		t.Fatal("one may be in")
	}
	s.Turn()
	if s.Of(k, false) != first || first.critical.Load() || first.Enter(1, admit.Normal) {
		t.Error("in the next table it is the same, with who is in, and as this table's rules say")
	}
	s.Turn()
	s.Turn()
	if s.Of(k, false) == first {
		t.Error("it outlived a table that has it not")
	}
}
