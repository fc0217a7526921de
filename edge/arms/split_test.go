package arms_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper"
	"semper/edge/arms"
	"semper/edge/route"
)

const web = semper.PoolKey("bar/production/web")

var (
	began = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	key   = [2][]byte{[]byte(strings.Repeat("k", 32))}
)

// split is a pool with arms by share, which have pools but where one is named lost.
func pools(by string, shares map[semper.Arm]float64, lost ...semper.Arm) []semper.Pool {
	s := &semper.Split{Rollout: "ro1", By: by}
	all := []semper.Pool{{Key: web, App: "bar", Release: "r1", Split: s}}
	for _, a := range []semper.Arm{semper.ArmCandidate, semper.ArmBaseline} {
		share, ok := shares[a]
		if !ok {
			continue
		}
		s.Arms = append(s.Arms, semper.ArmShare{Arm: a, Share: share})
		if len(lost) > 0 && lost[0] == a {
			continue
		}
		p := semper.Pool{Key: web.PoolOf(a), App: "bar", Release: "r1", Arm: a}
		if a == semper.ArmCandidate {
			p.Release = "r2"
		}
		all = append(all, p)
	}
	return all
}

func plan(t interface{ Fatal(...any) }, tallies *arms.Tallies, p []semper.Pool) *arms.Split {
	all, err := tallies.Plan(p, key, began)
	if err != nil {
		t.Fatal(err)
	}
	return all[0].Split
}

// armOf is where the client with a number goes.
func armOf(s *arms.Split, client uint32) semper.Arm {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], client)
	q := route.Query{Client: netip.AddrFrom4(a)}
	var r arms.Request
	return name(s, r.Pick(s, &q, false))
}

func name(s *arms.Split, i int) semper.Arm {
	if i == arms.Stable {
		return semper.ArmStable
	}
	return s.Arms[i].Arm
}

// TestSharesAreExact: of 200,000 clients each arm has as many as its share says, within five standard deviations; the hashes are
// the same in every run.
func TestSharesAreExact(t *testing.T) {
	t.Parallel()
	for _, shares := range []map[semper.Arm]float64{
		{semper.ArmCandidate: .001, semper.ArmBaseline: .001}, {semper.ArmCandidate: .05, semper.ArmBaseline: .05},
		{semper.ArmCandidate: .25}, {semper.ArmCandidate: .5, semper.ArmBaseline: .5}, {semper.ArmCandidate: .75, semper.ArmBaseline: .25},
		{semper.ArmCandidate: 1}, {semper.ArmCandidate: 0, semper.ArmBaseline: 0},
	} {
		s := plan(t, arms.NewTallies("edge-1", began, 1), pools("client", shares))
		const n = 200_000
		got := map[semper.Arm]int{}
		for i := range uint32(n) {
			got[armOf(s, i)]++
		}
		left := 1.0
		check := func(a semper.Arm, share float64) {
			if off := math.Abs(float64(got[a]) - n*share); off > 5*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%v: %s has %d of %d, want %g", shares, a, got[a], n, share)
			}
		}
		for a, share := range shares {
			left -= share
			check(a, share)
		}
		check(semper.ArmStable, max(left, 0))
	}
}

// TestByChanceToo: without a key every request is drawn anew, and a request that is asked again stays where it was.
func TestByChanceToo(t *testing.T) {
	t.Parallel()
	s := plan(t, arms.NewTallies("edge-1", began, 1), pools("", map[semper.Arm]float64{semper.ArmCandidate: .3, semper.ArmBaseline: .3}))
	got := map[semper.Arm]int{}
	const n = 20_000
	for range n {
		var r arms.Request
		first := r.Pick(s, &route.Query{}, false)
		if again := r.Pick(s, &route.Query{}, false); again != first {
			t.Fatalf("asked again it goes to %s instead of %s", name(s, again), name(s, first))
		}
		got[name(s, first)]++
	}
	for a, want := range map[semper.Arm]float64{semper.ArmCandidate: .3, semper.ArmBaseline: .3, semper.ArmStable: .4} {
		if off := math.Abs(float64(got[a]) - n*want); off > 7*math.Sqrt(n*want*(1-want)) { // by chance once in 10^11
			t.Errorf("%s has %d of %d, want %g", a, got[a], n, want)
		}
	}
}

// TestThereIsNoRatchet: whatever shares follow each other, where a client is depends on the shares of now alone, and a client changes sides only
// where a share makes it: who is in an arm stays while that arm does not shrink, and nobody moves between candidate and baseline
// while the two have their place.
func TestThereIsNoRatchet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tallies := arms.NewTallies("edge-1", began, 1)
		share := rapid.SampledFrom([]float64{0, .001, .01, .05, .1, .25, .5})
		at := func(c, b float64) *arms.Split {
			return plan(t, tallies, pools("client", map[semper.Arm]float64{semper.ArmCandidate: c, semper.ArmBaseline: b}))
		}
		c, b := share.Draw(t, "candidate"), share.Draw(t, "baseline")
		was := at(c, b)
		for range 5 {
			c2, b2 := share.Draw(t, "candidate"), share.Draw(t, "baseline")
			now := at(c2, b2)
			for client := range uint32(300) {
				from, to := armOf(was, client), armOf(now, client)
				switch {
				case from == semper.ArmCandidate && c2 >= c && to != from, from == semper.ArmBaseline && b2 >= b && to != from:
					t.Fatalf("%g/%g → %g/%g: client %d left %s for %s", c, b, c2, b2, client, from, to)
				case to == semper.ArmCandidate && c2 <= c && to != from, to == semper.ArmBaseline && b2 <= b && to != from:
					t.Fatalf("%g/%g → %g/%g: client %d came to %s from %s", c, b, c2, b2, client, to, from)
				case from != semper.ArmStable && to != semper.ArmStable && from != to:
					t.Fatalf("%g/%g → %g/%g: client %d went from %s to %s", c, b, c2, b2, client, from, to)
				}
			}
			was, c, b = now, c2, b2
		}
	})
}

// TestAnotherRolloutHasOthersFirst: those in the candidate of one rollout are as likely as anybody in that of the next.
func TestAnotherRolloutHasOthersFirst(t *testing.T) {
	t.Parallel()
	p := pools("client", map[semper.Arm]float64{semper.ArmCandidate: .1})
	a := plan(t, arms.NewTallies("edge-1", began, 1), p)
	p = pools("client", map[semper.Arm]float64{semper.ArmCandidate: .1})
	p[0].Split.Rollout = "ro2"
	b := plan(t, arms.NewTallies("edge-2", began, 1), p)
	both := 0
	const n = 100_000
	for i := range uint32(n) {
		if armOf(a, i) == semper.ArmCandidate && armOf(b, i) == semper.ArmCandidate {
			both++
		}
	}
	if off := math.Abs(float64(both) - n*.01); off > 5*math.Sqrt(n*.01*.99) {
		t.Errorf("%d of %d are in both candidates, want %d", both, n, n/100)
	}
}

// fields are header fields.
type fields map[string]string

func (f fields) Value(name string, i int) ([]byte, bool) {
	v, ok := f[name]
	return []byte(v), ok && i == 0
}

// TestAUserIsKnownByTheCookie that the edge gives: the same arm each time, whatever the client makes of it otherwise.
func TestAUserIsKnownByTheCookie(t *testing.T) {
	t.Parallel()
	shares := map[semper.Arm]float64{semper.ArmCandidate: .5, semper.ArmBaseline: .5}
	for _, by := range []string{"user", ""} { // where clients stick to an instance a split without a key is one by user
		s := plan(t, arms.NewTallies("edge-1", began, 1), pools(by, shares))
		other := plan(t, arms.NewTallies("edge-2", began, 1), pools(by, shares)) // has the same keys
		for range 50 {
			var first arms.Request
			at := first.Pick(s, &route.Query{}, true)
			set := string(first.AppendCookie(nil, true))
			value, rest, _ := strings.Cut(set, ";")
			if !strings.HasPrefix(value, "semper-user=") || rest != " Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure" {
				t.Fatalf("Set-Cookie: %s", set)
			}
			var again arms.Request
			if got := again.Pick(other, &route.Query{Fields: fields{"Cookie": value}}, true); got != at {
				t.Fatalf("came to %s, and with the cookie to %s", name(s, at), name(other, got))
			}
			if set := again.AppendCookie(nil, true); len(set) > 0 {
				t.Fatalf("has a cookie, and gets %s", set)
			}
			var forged arms.Request
			forged.Pick(s, &route.Query{Fields: fields{"Cookie": value[:len(value)-4] + "AAAA"}}, true)
			if len(forged.AppendCookie(nil, false)) == 0 {
				t.Fatal("a forged cookie is believed")
			}
		}
	}
}

func TestTestersGoToTheCandidate(t *testing.T) {
	t.Parallel()
	p := pools("client", map[semper.Arm]float64{semper.ArmCandidate: 0})
	p[0].Split.Testers = json.RawMessage(`[{"header":{"X-Tester":"yes"},"query":{"v":{"present":true}}},{"cookie":{"beta":{"prefix":"t"}}}]`)
	s := plan(t, arms.NewTallies("edge-1", began, 1), p)
	for _, c := range []struct {
		fields fields
		query  string
		want   semper.Arm
	}{
		{fields{"X-Tester": "yes"}, "v=1", semper.ArmTester},
		{fields{"X-Tester": "yes"}, "", semper.ArmStable},
		{fields{"X-Tester": "no"}, "v=1", semper.ArmStable},
		{fields{"Cookie": "a=b; beta=tango"}, "", semper.ArmTester},
		{fields{"Cookie": "beta=stable"}, "", semper.ArmStable},
	} {
		var r arms.Request
		if got := name(s, r.Pick(s, &route.Query{Fields: c.fields, Query: []byte(c.query)}, false)); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.fields, c.query, got, c.want)
		}
	}
}

// TestWhatIsNotKnownIsPassedOver, and told: nobody becomes a tester, and no share is given, by a word that is not understood.
func TestWhatIsNotKnownIsPassedOver(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*semper.Split){
		"is not a key":        func(s *semper.Split) { s.By = "mood:good" },
		"unknown key":         func(s *semper.Split) { s.Testers = json.RawMessage(`[{"header":{"A":"b"},"moon":"full"}]`) },
		"would be everybody":  func(s *semper.Split) { s.Testers = json.RawMessage(`[{}]`) },
		"cannot unmarshal":    func(s *semper.Split) { s.Testers = json.RawMessage(`{"header":1}`) },
		"it gets nothing":     func(s *semper.Split) { s.Arms[0].Share = math.NaN() },
		"cannot be compiled:": func(s *semper.Split) { s.Testers = json.RawMessage(`[{"header":{"A":{"matches":"("}}}]`) },
	} {
		p := pools("client", map[semper.Arm]float64{semper.ArmCandidate: 0})
		spoil(p[0].Split)
		all, err := arms.NewTallies("edge-1", began, 1).Plan(p, key, began)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), string(web)) {
			t.Errorf("want %q, got %v", want, err)
		}
		var r arms.Request
		if at := r.Pick(all[0].Split, &route.Query{Fields: fields{"A": "b"}}, false); at != arms.Stable {
			t.Errorf("%s: goes to %s", want, name(all[0].Split, at))
		}
	}
}

// TestSharesThatDoNotAddUp are told, and nobody is sent astray.
func TestSharesThatDoNotAddUp(t *testing.T) {
	t.Parallel()
	all, err := arms.NewTallies("edge-1", began, 1).Plan(pools("client", map[semper.Arm]float64{semper.ArmCandidate: .9, semper.ArmBaseline: .9}), key, began)
	if err == nil || !strings.Contains(err.Error(), "add up to 1.8") {
		t.Errorf("got %v", err)
	}
	got := map[semper.Arm]int{}
	for i := range uint32(1000) {
		got[armOf(all[0].Split, i)]++
	}
	if got[semper.ArmCandidate] < 850 || got[semper.ArmStable] > 0 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// TestAnArmWithoutAPool leaves its part to the stable one, and so does a table without keys for cookies.
func TestAnArmWithoutAPool(t *testing.T) {
	t.Parallel()
	s := plan(t, arms.NewTallies("edge-1", began, 1), pools("client", map[semper.Arm]float64{semper.ArmCandidate: .5, semper.ArmBaseline: .5}, semper.ArmCandidate))
	for i := range uint32(1000) {
		if a := armOf(s, i); a == semper.ArmCandidate {
			t.Fatal("somebody went to a pool that is not there")
		}
	}
	all, err := arms.NewTallies("edge-1", began, 1).Plan(pools("client", map[semper.Arm]float64{semper.ArmCandidate: 1}), [2][]byte{}, began)
	if err == nil || all[0].Split != nil || all[0].Tally == nil {
		t.Errorf("%+v %v", all[0], err)
	}
}
