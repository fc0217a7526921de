package balance

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// answers makes m have so many answers, of which so many failures.
func answers(m Member, good, bad int) {
	m.good.Store(uint32(good))
	m.bad.Store(uint32(bad))
}

func after(seconds float64) int64 { return int64(seconds * float64(time.Second)) }

// TestSuccessRateAsPublished is the example in Envoy's documentation and source: rates 50, 100, 100, 100, 100 have the mean
// 90 and the standard deviation 20, and with the factor 1.9 the threshold 52.
func TestSuccessRateAsPublished(t *testing.T) {
	t.Parallel()
	members := alike(5)
	for _, m := range members[:4] {
		answers(m, 200, 0)
	}
	answers(members[4], 100, 100)
	o := &Outlier{}
	if got := o.threshold(members); math.Abs(got-52) > 1e-9 {
		t.Errorf("threshold %v, want 52", got)
	}
	decided := o.Sweep(after(10), members, nil)
	want := []Ejection{{members[4].Backend, SuccessRate, after(40)}}
	if !slices.Equal(decided, want) {
		t.Fatalf("decided %v, want %v", decided, want)
	}
	if decided = o.Sweep(after(19.999), members, nil); len(decided) != 0 || members[4].Fit() {
		t.Errorf("back before its time: %v", decided)
	}
	if decided = o.Sweep(after(50.001), members, nil); len(decided) != 1 || decided[0].Why != Returned || !members[4].Fit() {
		t.Errorf("decided %v, want its return", decided)
	}
}

func TestSuccessRateNeedsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ n, good, bad int }{
		"four backends": {4, 100, 100}, "99 requests": {5, 49, 50},
	} {
		members := alike(c.n)
		for _, m := range members[1:] {
			answers(m, 200, 0)
		}
		answers(members[0], c.good, c.bad)
		if decided := (&Outlier{}).Sweep(after(10), members, nil); len(decided) != 0 {
			t.Errorf("%s: %v", name, decided)
		}
	}
	members := alike(5)
	for _, m := range members[1:] {
		answers(m, 200, 0)
	}
	answers(members[0], 0, 200)
	if decided := (&Outlier{Factor: -1}).Sweep(after(10), members, nil); len(decided) != 0 {
		t.Errorf("rates are compared, though they should not be: %v", decided)
	}
}

func TestFailureRate(t *testing.T) {
	t.Parallel()
	members := alike(2)
	answers(members[0], 15, 85)
	answers(members[1], 16, 84)
	o := &Outlier{FailurePercent: 85, MaxEjected: 100}
	want := []Ejection{{members[0].Backend, FailureRate, after(40)}}
	if decided := o.Sweep(after(10), members, nil); !slices.Equal(decided, want) {
		t.Errorf("decided %v, want %v", decided, want)
	}
}

func TestConsecutiveFailures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := alike(1)[0].Backend
		o := &Outlier{Consecutive: rapid.IntRange(1, 4).Draw(t, "consecutive")}
		run := 0
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "answers") {
			if ok {
				run = 0
				b.Succeeded()
				continue
			}
			run++
			if got := b.Failed(o); got != (run == o.Consecutive) {
				t.Fatalf("failure %d in a row of %d: %v", run, o.Consecutive, got)
			}
		}
	})
	b := alike(1)[0].Backend
	for range 100 {
		if b.Failed(&Outlier{Consecutive: -1}) {
			t.Fatal("failures in a row are counted, though they should not be")
		}
	}
}

func TestWhatIsAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status         int
		broken, counts bool // with Status5xx
	}{{200, false, false}, {404, false, false}, {500, false, true}, {599, false, true}, {600, false, false}, {0, true, true}} {
		if got := (&Outlier{Status5xx: true}).Failure(c.status, c.broken); got != c.counts {
			t.Errorf("%d, broken %v: %v", c.status, c.broken, got)
		}
		if got := (&Outlier{}).Failure(c.status, c.broken); got != c.broken {
			t.Errorf("%d, broken %v, without 5xx: %v", c.status, c.broken, got)
		}
	}
}

// TestEjectionsGrow: each takes a base longer than the one before, up to the most, and good behaviour shortens the next.
func TestEjectionsGrow(t *testing.T) {
	t.Parallel()
	o := &Outlier{Base: 10 * time.Second, Max: 25 * time.Second}
	members := alike(3)
	b := members[0].Backend
	now := int64(0)
	eject := func(want float64) {
		t.Helper()
		e, ok := o.Eject(now, members, b, Consecutive)
		if !ok || e.Until-now != after(want) || b.Fit() {
			t.Fatalf("ejected %v until %v, want for %v s", ok, time.Duration(e.Until-now), want)
		}
		if _, again := o.Eject(now, members, b, Consecutive); again {
			t.Fatal("ejected twice")
		}
		now = e.Until
		if o.Sweep(now, members, nil); !b.Fit() {
			t.Fatal("not back at its time")
		}
	}
	eject(10)
	eject(20)
	eject(25)
	o.Sweep(now, members, nil) // 3 → 2
	o.Sweep(now, members, nil) // 1
	eject(20)
	for range 10 {
		o.Sweep(now, members, nil)
	}
	eject(10)
}

// TestMaxEjected: one always may be out, more only up to the percentage.
func TestMaxEjected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, most, want int }{{1, 0, 1}, {5, 0, 1}, {10, 0, 1}, {20, 0, 2}, {10, 35, 3}, {4, 100, 4}, {4, 1, 1}} {
		members := alike(c.n)
		o := &Outlier{MaxEjected: c.most}
		got := 0
		for _, m := range members {
			if _, ok := o.Eject(0, members, m.Backend, Consecutive); ok {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%d of %d ejected with at most %d %%, want %d", got, c.n, c.most, c.want)
		}
	}
}

// TestRefusedEjectionComesAgain: the run begins anew, so that it is asked again when others have returned.
func TestRefusedEjectionComesAgain(t *testing.T) {
	t.Parallel()
	members := alike(5)
	o := &Outlier{Consecutive: 2}
	o.Eject(0, members, members[0].Backend, Consecutive)
	b := members[1].Backend
	asked := ""
	for range 6 {
		tooMany := b.Failed(o)
		asked += fmt.Sprint(tooMany, " ")
		if tooMany {
			if _, ok := o.Eject(0, members, b, Consecutive); ok {
				t.Fatal("a second of five is out")
			}
		}
	}
	if asked != "false true false true false true " {
		t.Errorf("asked %s", asked)
	}
}
