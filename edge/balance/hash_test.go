package balance

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestHash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		f := fnv.New64a()
		f.Write(b)
		if Hash(b) != mix(f.Sum64()) {
			t.Fatal("not FNV-1a")
		}
	})
	// Stable over versions: where a key leads must not change with an upgrade of the edge.
	if got := Hash([]byte("203.0.113.7")); got != 0x1e7d7b00ba514147 {
		t.Errorf("%#x", got)
	}
}

// TestPopulateHasThePapersTable is Table 1 of Eisenbud et al.: three backends, seven slots, then without B1.
func TestPopulateHasThePapersTable(t *testing.T) {
	t.Parallel()
	b0, b1, b2 := permutation{3, 4, 1}, permutation{0, 2, 1}, permutation{3, 1, 1}
	if got, want := populate([]permutation{b0, b1, b2}, 7), []uint16{1, 0, 1, 0, 2, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("before: %v, want %v", got, want)
	}
	if got, want := populate([]permutation{b0, b2}, 7), []uint16{0, 0, 0, 0, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("after: %v, want %v", got, want)
	}
}

func TestMaglevSlotsAreEven(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 10, 100} {
		counts := make([]int, n)
		for _, s := range newMaglevTable(alike(n), 0).slots {
			counts[s]++
		}
		// each takes one slot a round: they differ by at most the one of the last
		if slices.Max(counts)-slices.Min(counts) > 1 {
			t.Errorf("%d backends: between %d and %d slots", n, slices.Min(counts), slices.Max(counts))
		}
	}
	weights := []uint16{1, 2, 3, 10}
	table := newMaglevTable(pool(weights...), 0)
	got := make(map[uint16]float64)
	for _, s := range table.slots {
		got[table.members[s].Weight]++
	}
	for _, w := range weights {
		if want := float64(len(table.slots)) * float64(w) / 16; !near(got[w], want, 0.001) {
			t.Errorf("weight %d has %v slots, want %.0f", w, got[w], want)
		}
	}
}

func TestMaglevDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	members := alike(7)
	one := NewPicker(Options{Policy: Maglev}, members)
	slices.Reverse(members)
	two := NewPicker(Options{Policy: Maglev}, members)
	for key := range uint64(1000) {
		a, _ := one.Pick(Query{Key: key})
		b, _ := two.Pick(Query{Key: key})
		if a != b {
			t.Fatalf("key %d leads to two backends", key)
		}
	}
}

// moved is how many of n keys lead elsewhere, not counting those of gone, and how many gone had.
func moved(before, after *Picker, gone *Backend, n int) (others, had int) {
	for i := range n {
		q := Query{Now: started, Key: Hash(fmt.Append(nil, i))}
		a, _ := before.Pick(q)
		b, _ := after.Pick(q)
		switch {
		case a == gone:
			had++
		case a != b:
			others++
		}
	}
	return others, had
}

// TestRemoval measures what the removal of a backend from the table disturbs: nothing with rendezvous; with maglev a few
// percent (the paper, Figure 12: below 2 % with 65537 slots for few of 1000; one of 100 costs less).
func TestRemoval(t *testing.T) {
	t.Parallel()
	const keys = 50_000
	for _, n := range []int{3, 10, 100} {
		members := alike(n)
		for _, policy := range []Policy{Rendezvous, Maglev} {
			before, after := NewPicker(Options{Policy: policy}, members), NewPicker(Options{Policy: policy}, members[1:])
			others, had := moved(before, after, members[0].Backend, keys)
			t.Logf("%v, %d backends: the keys of one removed %.2f %%, other keys moved %.2f %%", policy, n, 100*float64(had)/keys, 100*float64(others)/keys)
			if !near(float64(had), keys/float64(n), 0.15) {
				t.Errorf("%v: one of %d had %d of %d keys", policy, n, had, keys)
			}
			if most := map[Policy]int{Rendezvous: 0, Maglev: keys * 3 / 100}[policy]; others > most {
				t.Errorf("%v: %d of %d keys of others moved, want at most %d", policy, others, keys, most)
			}
		}
	}
}

// TestUnfitMovesNoOtherKey: fitness changes the table of neither, and the keys of an unfit one are shared by all.
func TestUnfitMovesNoOtherKey(t *testing.T) {
	t.Parallel()
	const keys, n = 40_000, 8
	for _, policy := range []Policy{Rendezvous, Maglev} {
		members, same := alike(n), alike(n)
		before, after := NewPicker(Options{Policy: policy}, members), NewPicker(Options{Policy: policy}, same)
		same[0].SetHealthy(false, started)
		heirs := make([]float64, n)
		for i := range keys {
			q := Query{Now: started, Key: Hash(fmt.Append(nil, i))}
			a, _ := before.Pick(q)
			b, _ := after.Pick(q)
			switch x, y := index(members, a), index(same, b); {
			case x == 0:
				heirs[y]++
			case x != y:
				t.Fatalf("%v: a key of %d moved to %d", policy, x, y)
			}
		}
		for i, got := range heirs[1:] {
			if want := float64(keys) / n / (n - 1); math.Abs(got-want) > 5*math.Sqrt(want) {
				t.Errorf("%v: %d inherits %v keys, want about %.0f", policy, i+1, got, want)
			}
		}
	}
}

func TestRendezvousShares(t *testing.T) {
	t.Parallel()
	const keys = 100_000
	weights := []uint16{1, 2, 3, 4}
	members := pool(weights...)
	p := NewPicker(Options{Policy: Rendezvous}, members)
	got := make([]float64, len(members))
	for i := range keys {
		b, _ := p.Pick(Query{Now: started, Key: Hash(fmt.Append(nil, "client", i))})
		got[index(members, b)]++
	}
	for i, w := range weights {
		share := float64(w) / 10
		if sigma := math.Sqrt(keys * share * (1 - share)); math.Abs(got[i]-keys*share) > 4.5*sigma {
			t.Errorf("weight %d has %v keys, want %.0f ± %.0f", w, got[i], keys*share, sigma)
		}
	}
}

// TestRendezvousWeightMovesKeysOneWay: a weight that rises draws keys, and moves none between the others.
func TestRendezvousWeightMovesKeysOneWay(t *testing.T) {
	t.Parallel()
	members := pool(2, 3, 4, 5)
	before := NewPicker(Options{Policy: Rendezvous}, members)
	heavier := slices.Clone(members)
	heavier[2].Weight = 9
	after := NewPicker(Options{Policy: Rendezvous}, heavier)
	for i := range 20_000 {
		q := Query{Now: started, Key: Hash(fmt.Append(nil, i))}
		a, _ := before.Pick(q)
		if b, _ := after.Pick(q); b != a && b != members[2].Backend {
			t.Fatal("a key moved to one whose weight is the same")
		}
	}
}

func TestTableSizeIsRaisedToAPrime(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{-5: 3, 3: 3, 4: 5, 1000: 1009, 65537: 65537} {
		if got := prime(n); got != want {
			t.Errorf("prime(%d) is %d, want %d", n, got, want)
		}
	}
	members := alike(5)
	if got := len(NewPicker(Options{Policy: Maglev, TableSize: 100}, members).table.slots); got != 101 {
		t.Errorf("%d slots", got)
	}
}
