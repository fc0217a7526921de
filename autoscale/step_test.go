package autoscale

import (
	"strings"
	"testing"
	"time"

	"semper"
)

func web(min, max int) Policy { return Policy{Min: min, Max: max}.WithDefaults(true, false) }

func requests(placed, inFlight int) Signals {
	return Signals{Placed: placed, Ready: placed, Requests: &Requests{InFlight: inFlight, Recent: inFlight > 0}}
}

// TestMoreRequestsMoreInstances: what is needed comes at once, as far as steps and bounds let it.
func TestMoreRequestsMoreInstances(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    Policy
		sig  Signals
		want int
		why  string
	}{
		{web(1, 10), requests(1, 61), 4, "61 requests of 20 each"},
		{web(1, 3), requests(1, 61), 3, "3 instances at most"},
		{web(1, 100), requests(2, 900), 6, "900 requests of 20 each"},
		{web(1, 10), requests(2, 43), 2, "43 requests of 20 each"},
		{web(1, 10), requests(2, 45), 3, "45 requests of 20 each"},
		{web(4, 10), requests(2, 0), 4, "4 at least"},
		{Policy{Min: 1, Max: 10, InFlight: 20, Up: Pace{Step: 1}}, requests(1, 61), 2, "61"},
		{Policy{Min: 1, Max: 10, InFlight: 20, Up: Pace{After: semper.Duration(time.Minute)}}, requests(1, 61), 1, "for 0s of 1m"},
		{web(0, 10), Signals{Requests: &Requests{Waiting: 1}}, 1, "1 request of 20 each"},
		{web(0, 10), Signals{Requests: &Requests{Waiting: 50}}, 3, "50 requests"},
		{web(0, 10), Signals{Requests: &Requests{Waiting: 1}, Held: true}, 1, "1 request"},
		{web(0, 10), Signals{Requests: &Requests{}}, 0, "nothing to do"},
		{web(1, 10), Signals{Placed: 2, Ready: 2, Requests: &Requests{Waiting: 500}, Held: true}, 2, "held"},
		{web(1, 10), Signals{Placed: 3, Ready: 3}, 3, "no data"},
		{web(1, 10), Signals{Placed: 3, Ready: 3, Rollout: true, Requests: &Requests{InFlight: 200}}, 7, "200 requests"},
	} {
		if _, d := (State{}).Step(c.p, c.sig, t0); d.Want != c.want || !strings.Contains(d.Why, c.why) {
			t.Errorf("%+v of %+v: %d, %q; want %d, %q", c.sig.Requests, c.p, d.Want, d.Why, c.want, c.why)
		}
	}
}

// TestJobsAskForWorkers: by how many wait, and by how long.
func TestJobsAskForWorkers(t *testing.T) {
	t.Parallel()
	p := Policy{Min: 0, Max: 20}.WithDefaults(false, true)
	jobs := func(placed int, q Queue) Signals {
		return Signals{Placed: placed, Ready: placed, Busy: placed, Requests: &Requests{}, Queue: &q}
	}
	for _, c := range []struct {
		sig  Signals
		want int
		why  string
	}{
		{jobs(0, Queue{Depth: 1}), 1, "1 waiting job of 100 each"},
		{jobs(0, Queue{Depth: 1, Paused: true}), 0, ""},
		{jobs(2, Queue{Depth: 250, Age: time.Second}), 3, "250 waiting jobs of 100 each"},
		{jobs(2, Queue{Depth: 30, Age: 15 * time.Second}), 3, "waited for 15s, and 10s is meant"},
		{jobs(4, Queue{Depth: 30, Age: time.Hour}), 8, "waited for 1h"},
		{jobs(4, Queue{Depth: 30, Age: 7 * time.Second}), 4, "waited for 7s"},
	} {
		if _, d := (State{}).Step(p, c.sig, t0); d.Want != c.want || !strings.Contains(d.Why, c.why) {
			t.Errorf("%+v: %d, %q; want %d, %q", c.sig.Queue, d.Want, d.Why, c.want, c.why)
		}
	}
}

// TestWorkersAtWorkStay: with nothing waiting, those that have a job are needed.
func TestWorkersAtWorkStay(t *testing.T) {
	t.Parallel()
	p := Policy{Min: 1, Max: 20}.WithDefaults(false, true)
	var s State
	var d Decision
	sig := Signals{Placed: 5, Ready: 5, Busy: 3, Requests: &Requests{}, Queue: &Queue{Running: 3}}
	for i := range 600 {
		if s, d = s.Step(p, sig, t0.Add(time.Duration(i)*time.Second)); d.Want < 3 {
			t.Fatalf("after %ds %d are left, and 3 are at work: %s", i, d.Want, d.Why)
		}
		sig.Placed, sig.Ready = d.Want, d.Want
	}
	if d.Want != 3 {
		t.Errorf("%d are left: %s", d.Want, d.Why)
	}
}

// TestAnAgeIsGivenTime: the workers that were added get as long as a job may wait to make a difference.
func TestAnAgeIsGivenTime(t *testing.T) {
	t.Parallel()
	p := Policy{Min: 1, Max: 100, QueueAge: semper.Duration(10 * time.Second)}.WithDefaults(false, true)
	var s State
	var d Decision
	placed, grew := 1, 0
	for i := range 10 {
		sig := Signals{Placed: placed, Ready: placed, Requests: &Requests{}, Queue: &Queue{Depth: 5, Age: time.Minute}}
		if s, d = s.Step(p, sig, t0.Add(time.Duration(i)*time.Second)); d.Want > placed {
			placed = d.Want
			grew++
		}
	}
	if grew != 1 || placed != 2 {
		t.Errorf("%d steps to %d in the time of one", grew, placed)
	}
}

// TestGapsBeginAnew: what was not seen may have been a load.
func TestGapsBeginAnew(t *testing.T) {
	t.Parallel()
	for what, gap := range map[string]Signals{
		"no data": {Placed: 4, Ready: 4},
		"held":    {Placed: 4, Ready: 4, Held: true, Requests: &Requests{}},
	} {
		p := Policy{Min: 1, Max: 10, Down: Pace{After: semper.Duration(time.Minute)}}.WithDefaults(true, false)
		var s State
		var d Decision
		for i := range 100 {
			sig := requests(4, 0)
			if i == 50 {
				sig = gap
			}
			if s, d = s.Step(p, sig, t0.Add(time.Duration(i)*time.Second)); d.Want != 4 {
				t.Fatalf("%s: after %ds: %+v", what, i, d)
			}
		}
		for i := 100; i <= 111; i++ {
			s, d = s.Step(p, requests(4, 0), t0.Add(time.Duration(i)*time.Second))
		}
		if d.Want != 2 {
			t.Errorf("%s: a minute after the gap: %+v", what, d)
		}
	}
}

// TestASleepNeedsItsWholeTime: one request that was over between two looks begins it anew.
func TestASleepNeedsItsWholeTime(t *testing.T) {
	t.Parallel()
	p := Policy{Min: 0, Max: 10, ToZeroAfter: semper.Duration(time.Minute)}.WithDefaults(true, false)
	var s State
	for i := range 200 {
		sig := requests(1, 0)
		sig.Requests.Recent = i == 40
		var d Decision
		s, d = s.Step(p, sig, t0.Add(time.Duration(i)*time.Second))
		if d.Want == 0 {
			if i != 101 || s.IdleFor(t0.Add(time.Duration(i)*time.Second)) != time.Minute {
				t.Errorf("it sleeps after %d s", i)
			}
			return
		}
	}
	t.Error("it never sleeps")
}

// TestStartsAreNotAnsweredWithStarts: instances on their way count.
func TestStartsAreNotAnsweredWithStarts(t *testing.T) {
	t.Parallel()
	p := web(1, 100)
	s, d := (State{}).Step(p, requests(1, 61), t0)
	for i := range 100 {
		sig := requests(d.Want, 61)
		sig.Ready = 1
		if s, d = s.Step(p, sig, t0.Add(time.Duration(i)*time.Second)); d.Want != 4 {
			t.Fatalf("%d while three start: %s", d.Want, d.Why)
		}
	}
}
