package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// started is a moment at which every backend made at 0 has long started.
const started = int64(time.Hour)

var everyPolicy = []Policy{LeastInFlight, LeastTime, RoundRobin, Rendezvous, Maglev}

// pool is as many members as there are weights, fit since 0.
func pool(weights ...uint16) []Member {
	changes := new(Changes)
	members := make([]Member, len(weights))
	for i, w := range weights {
		members[i] = Member{NewBackend(fmt.Sprintf("bar/web.r1.%d", i), changes, 0), w}
	}
	return members
}

func alike(n int) []Member { return pool(slices.Repeat([]uint16{1}, n)...) }

func index(members []Member, b *Backend) int {
	return slices.IndexFunc(members, func(m Member) bool { return m.Backend == b })
}

// inHand makes m have n in flight.
func inHand(m Member, n int) {
	for range n {
		m.InFlight.Claim()
	}
}

func TestPolicyNames(t *testing.T) {
	t.Parallel()
	for _, p := range everyPolicy {
		if got, ok := ParsePolicy(p.String()); !ok || got != p {
			t.Errorf("%v is read as %v, %v", p, got, ok)
		}
	}
	if _, ok := ParsePolicy("fastest"); ok || Policy(99).String() != "unknown" {
		t.Error("a name that is none is taken for one")
	}
}

func TestOfFewTheLeastIsPicked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint16Range(1, 50), 1, lookAtAll).Draw(t, "weights")
		members := pool(weights...)
		for i := range members {
			inHand(members[i], rapid.IntRange(0, 20).Draw(t, "in flight"))
		}
		p := NewPicker(Options{}, members)
		b, _ := p.Pick(Query{Now: started, Random: rapid.Uint64().Draw(t, "random")})
		got := members[index(members, b)]
		for i, m := range members {
			if got.InFlight.Load()*int64(m.Weight) > m.InFlight.Load()*int64(got.Weight) {
				t.Fatalf("picked %d in flight of weight %d, and %d has %d of %d", got.InFlight.Load(), got.Weight, i, m.InFlight.Load(), m.Weight)
			}
		}
	})
}

// TestTwoChoices throws n balls into n bins: by Azar, Broder, Karlin and Upfal (1994) the fullest has
// ln ln n / ln 2 + O(1) by two choices, and about ln n / ln ln n by one.
func TestTwoChoices(t *testing.T) {
	t.Parallel()
	const n = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	members := alike(n)
	p := NewPicker(Options{}, members)
	one := make([]int, n)
	for range n {
		b, _ := p.Pick(Query{Now: started, Random: r.Uint64()})
		b.InFlight.Claim()
		one[r.IntN(n)]++
	}
	var fullest int64
	for _, m := range members {
		fullest = max(fullest, m.InFlight.Load())
	}
	if bound := math.Log(math.Log(n))/math.Ln2 + 2; float64(fullest) > bound {
		t.Errorf("two choices: %d in the fullest, want at most %.1f", fullest, bound)
	}
	if single := slices.Max(one); int64(single) <= fullest+1 {
		t.Errorf("one choice: %d, two choices: %d: two are no better", single, fullest)
	}
}

// TestWeightsShareTheLoad keeps a fixed number in flight: the backends hold it in proportion to their weights.
func TestWeightsShareTheLoad(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]uint16{{1, 3}, {5, 1, 1, 3}, {1, 2, 3, 4, 5, 6, 7, 8}, {100, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
		members := pool(weights...)
		p := NewPicker(Options{}, members)
		r := rand.New(rand.NewPCG(3, 4))
		var total, held int
		for _, w := range weights {
			total += int(w)
		}
		var running []*Backend
		picked := make([]int, len(members))
		const rounds = 50_000
		for range rounds {
			b, _ := p.Pick(Query{Now: started, Random: r.Uint64()})
			b.InFlight.Claim()
			running = append(running, b)
			picked[index(members, b)]++
			if held = len(running); held > 20*total {
				i := r.IntN(held)
				running[i].InFlight.Release()
				running[i] = running[held-1]
				running = running[:held-1]
			}
		}
		for i, w := range weights {
			want := float64(held) * float64(w) / float64(total)
			if got := float64(members[i].InFlight.Load()); math.Abs(got-want) > 0.1*want+3 {
				t.Errorf("%v: %d has %v in flight, want about %.0f", weights, i, got, want)
			}
		}
	}
}

// TestIdleBackendsShareByWeight picks with nothing in flight: ties go by lot, in proportion to weight.
func TestIdleBackendsShareByWeight(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]uint16{{1, 1, 1}, {1, 2, 5}, {4, 1, 1, 1, 1, 2}, slices.Repeat([]uint16{7}, 9)} {
		members := pool(weights...)
		p := NewPicker(Options{}, members)
		r := rand.New(rand.NewPCG(5, 6))
		const n = 100_000
		got, total := make([]int, len(members)), 0
		for range n {
			b, _ := p.Pick(Query{Now: started, Random: r.Uint64()})
			got[index(members, b)]++
		}
		for _, w := range weights {
			total += int(w)
		}
		for i, w := range weights {
			share := float64(w) / float64(total)
			if sigma := math.Sqrt(n * share * (1 - share)); math.Abs(float64(got[i])-n*share) > 4.5*sigma {
				t.Errorf("%v: %d is picked %d times, want %.0f ± %.0f", weights, i, got[i], n*share, sigma)
			}
		}
	}
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint16Range(1, 9), 1, 12).Draw(t, "weights")
		members := pool(weights...)
		p := NewPicker(Options{Policy: RoundRobin}, members)
		total := 0
		for _, w := range weights {
			total += int(w)
		}
		got := make([]int, len(members))
		for turn := 1; turn <= total; turn++ {
			b, _ := p.Pick(Query{Now: started})
			got[index(members, b)]++
			for i, w := range weights { // at no moment far from its share, so that a heavy one has no run
				if ahead := float64(got[i]) - float64(turn)*float64(w)/float64(total); math.Abs(ahead) > float64(len(weights)) {
					t.Fatalf("%v: after %d turns %d has had %d", weights, turn, i, got[i])
				}
			}
		}
		for i, w := range weights {
			if got[i] != int(w) {
				t.Fatalf("%v: %d has %d turns in a round", weights, i, got[i])
			}
		}
	})
}

func TestRoundOfGreatWeights(t *testing.T) {
	t.Parallel()
	members := pool(65521, 65519, 1)
	p := NewPicker(Options{Policy: RoundRobin}, members)
	got := make([]int, 3)
	n := len(p.current(started).turns)
	for range n {
		b, _ := p.Pick(Query{Now: started})
		got[index(members, b)]++
	}
	if n > maxTurns+3 || got[2] != 1 || got[0] != got[1] {
		t.Errorf("a round of %d: %v", n, got)
	}
}

func TestLeastTimeAvoidsTheSlow(t *testing.T) {
	t.Parallel()
	members := alike(2)
	p := NewPicker(Options{Policy: LeastTime}, members)
	now := started
	members[0].Observe(now, 50*time.Millisecond)
	members[1].Observe(now, 10*time.Millisecond)
	picked := make([]int, 2)
	for range 60 {
		b, _ := p.Pick(Query{Now: now, Random: rand.Uint64()})
		b.InFlight.Claim()
		picked[index(members, b)]++
	}
	if picked[0] != 10 || picked[1] != 50 {
		t.Errorf("%v picked, want in proportion to speed: 10 and 50", picked)
	}
}

func TestLeastTimeTriesTheUnknown(t *testing.T) {
	t.Parallel()
	members := alike(3)
	p := NewPicker(Options{Policy: LeastTime}, members)
	members[0].Observe(started, time.Millisecond)
	members[1].Observe(started, time.Millisecond)
	first, _ := p.Pick(Query{Now: started})
	if first != members[2].Backend {
		t.Fatal("the one that is not known is not tried")
	}
	first.InFlight.Claim()
	for range 100 {
		if b, _ := p.Pick(Query{Now: started, Random: rand.Uint64()}); b == first {
			t.Fatal("the one that is not known gets a second request before it has answered the first")
		}
	}
}

// TestAvoid: what was tried is picked only where there is nothing else, what is down never, whatever the policy.
func TestAvoid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		members := pool(rapid.SliceOfN(rapid.Uint16Range(0, 5), 0, 9).Draw(t, "weights")...)
		o := Options{Policy: rapid.SampledFrom(everyPolicy).Draw(t, "policy"), TableSize: 101, MaxInFlight: rapid.Int64Range(0, 2).Draw(t, "most")}
		p := NewPicker(o, members)
		q := Query{Now: started, Random: rapid.Uint64().Draw(t, "random"), Key: rapid.Uint64().Draw(t, "key")}
		good, second := 0, 0
		for _, m := range members {
			inHand(m, rapid.IntRange(0, 3).Draw(t, "in flight"))
			down, avoided := rapid.Bool().Draw(t, "down"), rapid.Bool().Draw(t, "avoided")
			m.SetDown(down, started)
			if avoided {
				q.Avoid = append(q.Avoid, m.Backend)
			}
			switch free := o.MaxInFlight == 0 || m.InFlight.Load() < o.MaxInFlight; {
			case m.Weight == 0 || down || !free:
			case avoided:
				second++
			default:
				good++
			}
		}
		b, verdict := p.Pick(q)
		switch {
		case (b != nil) != (verdict == Picked):
			t.Fatalf("%v with verdict %d", b, verdict)
		case b == nil && good+second > 0:
			t.Fatalf("nothing picked of %d, and %d that are avoided", good, second)
		case b == nil:
		case b.Down() || o.MaxInFlight > 0 && b.InFlight.Load() >= o.MaxInFlight:
			t.Fatal("picked what is down or busy")
		case good > 0 && slices.Contains(q.Avoid, b):
			t.Fatal("picked what is to be avoided, with others there")
		}
	})
}
