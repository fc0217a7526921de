package autoscale

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper"
)

// plant is a service whose instances take a time to start, under a policy.
type plant struct {
	p       Policy
	s       State
	now     time.Time
	ready   []time.Time // of each instance, when it is
	changes int         // of the number
}

var t0 = time.Unix(1_700_000_000, 0)

// look is one call of Step with a number of requests, and performs what it wants.
func (f *plant) look(t interface{ Fatalf(string, ...any) }, requests int, start time.Duration) Decision {
	sig := Signals{Placed: len(f.ready), Requests: &Requests{InFlight: requests, Recent: requests > 0}}
	for _, at := range f.ready {
		if !f.now.Before(at) {
			sig.Ready++
		}
	}
	if sig.Ready == 0 {
		sig.Requests.InFlight, sig.Requests.Waiting = 0, requests
	}
	next, d := f.s.Step(f.p, sig, f.now)
	f.s = next
	switch {
	case d.Want > f.p.Max && d.Want > sig.Placed, d.Want < f.p.Min && d.Want < sig.Placed:
		t.Fatalf("%d are wanted of %d to %d", d.Want, f.p.Min, f.p.Max)
	case d.Want == 0 && f.p.Min > 0:
		t.Fatalf("it sleeps and must not")
	case d.Why == "":
		t.Fatalf("no reason for %d", d.Want)
	}
	if d.Want != sig.Placed {
		f.changes++
	}
	for len(f.ready) < d.Want {
		f.ready = append(f.ready, f.now.Add(start))
	}
	f.ready = f.ready[:d.Want]
	f.now = f.now.Add(time.Second)
	return d
}

func policies() *rapid.Generator[Policy] {
	return rapid.Custom(func(t *rapid.T) Policy {
		p := Policy{Min: rapid.IntRange(0, 3).Draw(t, "min"), InFlight: rapid.IntRange(1, 30).Draw(t, "each")}
		p.Max = p.Min + rapid.IntRange(1, 40).Draw(t, "more")
		p.Up = Pace{After: semper.Duration(time.Duration(rapid.IntRange(0, 20).Draw(t, "up")) * time.Second), Step: rapid.IntRange(0, 5).Draw(t, "up step")}
		p.Down = Pace{After: semper.Duration(time.Duration(rapid.IntRange(1, 120).Draw(t, "down")) * time.Second), Step: rapid.IntRange(0, 5).Draw(t, "down step")}
		return p.WithDefaults(true, false)
	})
}

// TestAConstantLoadSettles begins with any number of instances and any load: the number gets where each has about what it is meant
// to have, and stays there.
func TestAConstantLoadSettles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := plant{p: policies().Draw(t, "policy"), now: t0}
		load := rapid.IntRange(1, 1200).Draw(t, "load")
		start := time.Duration(rapid.IntRange(0, 45).Draw(t, "start")) * time.Second
		f.ready = make([]time.Time, rapid.IntRange(f.p.Min, f.p.Max).Draw(t, "instances"))
		for range 1500 {
			f.look(t, load, start)
		}
		f.changes = 0
		for range 500 {
			f.look(t, load, start)
		}
		if f.changes != 0 {
			t.Fatalf("%d changes under a constant load", f.changes)
		}
		n, want := float64(len(f.ready)), float64(load)/float64(f.p.InFlight)
		if n*(1+Tolerance) < want-1e-6 && len(f.ready) < f.p.Max {
			t.Fatalf("%v instances for %d requests of %d each", n, load, f.p.InFlight)
		}
		if n > math.Ceil(want) && len(f.ready) > max(f.p.Min, 1) && math.Abs(want/n-1) > Tolerance {
			t.Fatalf("%v instances for %d requests of %d each are too many", n, load, f.p.InFlight)
		}
	})
}

// TestANoisyLoadDoesNotFlap: what comes and goes within the time that nothing is taken away changes nothing.
func TestANoisyLoadDoesNotFlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := plant{p: policies().Draw(t, "policy"), now: t0}
		f.p.Down.After += semper.Duration(time.Minute + 10*time.Second)
		mean := rapid.IntRange(20, 600).Draw(t, "mean")
		f.ready = make([]time.Time, max(f.p.Min, 1))
		noise := rapid.SliceOfN(rapid.IntRange(-mean/5, mean/5), 64, 64).Draw(t, "noise")
		ups, downs, was := 0, 0, len(f.ready)
		for i := range 2500 {
			f.look(t, mean+noise[i%len(noise)], 3*time.Second)
			if i < 1500 {
				was = len(f.ready)
				continue
			}
			switch n := len(f.ready); {
			case n > was:
				ups++
			case n < was:
				downs++
			}
			was = len(f.ready)
		}
		if ups+downs > 1 { // a last step down, when a peak of the beginning is forgotten
			t.Fatalf("%d times more and %d times fewer instances under noise around %d", ups, downs, mean)
		}
	})
}

// TestAnythingMayHappen feeds it nonsense: the bounds hold, nothing is taken away on missing signals, in a rollout or while requests
// are held, and a service sleeps only after its time without anything to do.
func TestAnythingMayHappen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		if rapid.Bool().Draw(t, "jobs") {
			p.QueueDepth, p.QueueAge = rapid.IntRange(0, 50).Draw(t, "depth"), semper.Duration(time.Duration(rapid.IntRange(0, 30).Draw(t, "age"))*time.Second)
		}
		var s State
		now, placed := t0, max(p.Min, 1)
		var busy time.Time // when there was certainly, or perhaps, something to do
		busy = now
		for range rapid.IntRange(1, 300).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "s")) * time.Second)
			sig := Signals{
				Placed: placed, Ready: rapid.IntRange(0, placed).Draw(t, "ready"),
				Rollout: rapid.IntRange(0, 9).Draw(t, "rollout") == 0, Held: rapid.IntRange(0, 9).Draw(t, "held") == 0,
			}
			if rapid.IntRange(0, 9).Draw(t, "seen") > 0 {
				sig.Requests = &Requests{InFlight: max(0, rapid.IntRange(-100, 200).Draw(t, "in flight")), Waiting: max(0, rapid.IntRange(-50, 20).Draw(t, "waiting"))}
			}
			if rapid.IntRange(0, 9).Draw(t, "counted") > 0 {
				sig.Queue = &Queue{Depth: max(0, rapid.IntRange(-300, 400).Draw(t, "jobs")), Age: time.Duration(rapid.IntRange(0, 90).Draw(t, "waited")) * time.Second}
			}
			if !sig.idle(p) || sig.Held {
				busy = now
			}
			before := s
			next, d := s.Step(p, sig, now)
			if again, same := before.Step(p, sig, now); same != d || again.load != next.load || again.seen != next.seen {
				t.Fatalf("the same twice: %+v and %+v", d, same)
			}
			s = next
			if d.Want < placed && (sig.missing(p) || sig.Rollout || sig.Held) {
				t.Fatalf("taken away on %+v: %+v", sig, d)
			}
			if d.Want > max(placed, p.Max) || d.Want < min(placed, p.Min) || d.Want < 0 {
				t.Fatalf("%d of %d to %d", d.Want, p.Min, p.Max)
			}
			if d.Want == 0 && placed > 0 && (p.Min > 0 || now.Sub(busy) < p.ToZeroAfter.D()) {
				t.Fatalf("it sleeps after %s: %+v", now.Sub(busy), d)
			}
			placed = d.Want
		}
	})
}
