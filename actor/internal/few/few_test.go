package few

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A Set is what a map is.
func TestSet(t *testing.T) {
	t.Parallel()
	things := make([]int, 5)
	rapid.Check(t, func(t *rapid.T) {
		var s Set[int]
		want := map[*int]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			p := &things[rapid.IntRange(0, 4).Draw(t, "which")]
			if rapid.Bool().Draw(t, "add") {
				s.Add(p)
				want[p] = true
			} else {
				s.Drop(p)
				delete(want, p)
			}
			for i := range things {
				if s.Has(&things[i]) != want[&things[i]] {
					t.Fatalf("%d: %v, want %v", i, s.Has(&things[i]), want[&things[i]])
				}
			}
			all := slices.Collect(s.All())
			for _, p := range all {
				if !want[p] {
					t.Fatal("All has one that is not in it")
				}
			}
			if s.Len() != len(want) || len(all) != len(want) || s.Has(nil) {
				t.Fatalf("%d of %d, %d listed", s.Len(), len(want), len(all))
			}
		}
	})
}

func TestFuncs(t *testing.T) {
	t.Parallel()
	var f Funcs
	var got []int
	for i := range 4 {
		if f.Len() != i {
			t.Errorf("%d, want %d", f.Len(), i)
		}
		f.Add(func() { got = append(got, i) })
	}
	f.Call()
	if !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Error(got)
	}
}
