package judging_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"semper"
	"semper/control/judging"
	"semper/edge/sketch"
)

var began = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func terms() judging.Terms {
	return judging.Terms{App: "shop", Environment: "production", Rollout: "d-7", From: "r7", To: "r8", Against: semper.BaselineFresh}
}

// A behaviour is what the requests of one release meet.
type behaviour struct {
	errors float64
	slower float64       // times as slow
	stall  time.Duration // more for each
	median time.Duration // 0: nothing is said of latencies
	memory float64       // bytes
	leak   float64       // bytes in each second
}

// A world is edges that carry traffic, second by second.
type world struct {
	r        *rand.Rand
	edges    []string
	lives    int
	counts   map[string]*semper.ArmCounts
	sketches map[string]*sketch.Sketch
	releases map[semper.ReleaseName]behaviour
	share    float64
	against  semper.Baseline
	rate     int // requests in a second, at each edge
	now      time.Time
	since    time.Time
	index    int
	step     semper.Step
	watch    bool
	begun    int
}

func newWorld(seed uint64, old, candidate behaviour) *world {
	return &world{
		r: rand.New(rand.NewPCG(20261121, seed)), edges: []string{"edge-1@0"}, counts: make(map[string]*semper.ArmCounts), sketches: make(map[string]*sketch.Sketch),
		releases: map[semper.ReleaseName]behaviour{"r7": old, "r8": candidate}, share: .05, against: semper.BaselineFresh, rate: 1000, now: began, since: began,
		step: semper.Step{Kind: semper.StepTraffic, Share: .05, For: semper.Duration(time.Minute), Requests: 1000},
	}
}

// at is the counter of an arm.
func (w *world) at(edge string, arm semper.Arm, rollout string, release semper.ReleaseName) *semper.ArmCounts {
	key := fmt.Sprint(edge, arm, rollout, release)
	if w.counts[key] == nil {
		w.counts[key] = &semper.ArmCounts{Edge: edge, Pool: "shop/production/web", Rollout: rollout, Release: release, Arm: arm}
		w.sketches[key] = new(sketch.Sketch)
	}
	return w.counts[key]
}

// serve gives an arm n requests.
func (w *world) serve(edge string, arm semper.Arm, rollout string, release semper.ReleaseName, n int) {
	c, b := w.at(edge, arm, rollout, release), w.releases[release]
	c.Assigned += uint64(n)
	c.Requests += uint64(n)
	c.Failed += uint64(w.binomial(n, b.errors))
	if b.median > 0 {
		s := w.sketches[fmt.Sprint(edge, arm, rollout, release)]
		for range n {
			s.Add(time.Duration(float64(b.median)*math.Exp(.6*w.r.NormFloat64())*(1+b.slower)) + b.stall)
		}
	}
}

func (w *world) binomial(n int, p float64) (x int) {
	for range n {
		if w.r.Float64() < p {
			x++
		}
	}
	return x
}

// second lets a second pass. Each request falls on an arm by chance.
func (w *world) second() {
	w.now = w.now.Add(time.Second)
	w.begun++
	for _, edge := range w.edges {
		if w.watch {
			w.serve(edge, semper.ArmStable, "", "r8", w.rate)
			continue
		}
		candidate := w.binomial(w.rate, w.share)
		baseline := 0
		if w.against == semper.BaselineFresh {
			baseline = w.binomial(w.rate-candidate, min(w.share, 1-w.share)/(1-w.share))
		}
		w.serve(edge, semper.ArmCandidate, "d-7", "r8", candidate)
		w.serve(edge, semper.ArmBaseline, "d-7", "r7", baseline)
		w.serve(edge, semper.ArmStable, "d-7", "r7", w.rate-candidate-baseline)
	}
}

// look is what control would see now.
func (w *world) look() judging.Look {
	l := judging.Look{At: w.now, Index: w.index, Step: w.step, Share: w.share, Since: w.since, Watch: w.watch}
	for key, c := range w.counts {
		out := *c
		if n := w.sketches[key].Read(); n.Count() > 0 {
			out.Latency, _ = n.MarshalBinary()
		}
		l.Counts = append(l.Counts, out)
	}
	old, is := w.releases["r7"], w.releases["r8"]
	if old.memory > 0 && w.begun%10 == 0 {
		l.Memory = &[2]float64{is.memory + is.leak*float64(w.begun) + w.r.NormFloat64()*1e5, old.memory + old.leak*float64(w.begun) + w.r.NormFloat64()*1e5}
	}
	return l
}

// restart ends an edge's life, with all its counters, and begins the next.
func (w *world) restart(i int) {
	w.lives++
	gone := w.edges[i]
	for key, c := range w.counts {
		if c.Edge == gone {
			delete(w.counts, key)
		}
	}
	w.edges[i] = fmt.Sprintf("edge-%d@%d", i+1, w.lives)
}

func newJudge(t testing.TB, terms judging.Terms) *judging.Judge {
	t.Helper()
	j, err := judging.New(terms, began)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// run lets seconds pass, with a look after each, until the candidate is worse. It returns the last verdict.
func run(t testing.TB, j *judging.Judge, w *world, seconds int) semper.Verdict {
	t.Helper()
	var v semper.Verdict
	for range seconds {
		w.second()
		var err error
		if v, err = j.Look(w.look()); err != nil {
			t.Fatal(err)
		}
		if v.Outcome == semper.Worse {
			return v
		}
	}
	return v
}

// candidates is how many requests of the candidate have counted.
func candidates(j *judging.Judge) (n int64) {
	for _, s := range j.Record().Steps {
		n += s.Candidate.Requests
	}
	return n
}

func median(all []int64) int64 {
	slices.Sort(all)
	return all[len(all)/2]
}
