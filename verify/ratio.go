package verify

import (
	"fmt"
	"math"
	"slices"
)

// Ratio is a confidence sequence for how many times as likely a bad request is at the candidate as at the baseline. It sees what
// [Counts] sees: where the bad requests of each batch fell, given the real shares of the traffic. For a ratio ρ their
// log-likelihood is
//
//	ℓ(ρ) = Σ x_c·log ρ - (x_c + x_b)·log(ρ·n_c + n_b)
//
// and Σ_i p_i·exp(ℓ(ρ_i) - ℓ(ρ)), the p_i being fixed weights of some ratios, is an e-process for the hypothesis that ρ is
// true. The ratios for which it is below 1/alpha are the interval: the truth is in it at all times at once, with probability at least
// 1-alpha. ℓ is kept at 65 ratios from 1/57 to 57, which are 1 % apart around 1; between them it is interpolated. So an interval
// is never much narrower than that, and one that reaches 57 is told as open.
//
// The zero Ratio is ready. Its fields are its whole state. It is not safe for concurrent use.
type Ratio struct {
	Logs []float64 `json:"logs,omitempty"` // ℓ
	N    int64     `json:"n"`              // bad requests
}

const ratioPoints = 65

// ratioGrid are the logarithms of the ratios at which ℓ is kept.
var ratioGrid = func() (u [ratioPoints]float64) {
	for i := range u {
		u[i] = math.Sinh(.15*float64(i-ratioPoints/2)) / 15
	}
	return u
}()

// ratioValues are the ratios themselves.
var ratioValues = func() (v [ratioPoints]float64) {
	for i, u := range ratioGrid {
		v[i] = math.Exp(u)
	}
	return v
}()

// Add takes one batch. A batch that cannot be changes nothing.
func (r *Ratio) Add(b Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	r.take([]Batch{b})
	return nil
}

// take adds batches that were checked. Most have one bad request or two: of those the factors are multiplied, and one logarithm is taken for
// many.
func (r *Ratio) take(all []Batch) {
	if r.Logs == nil {
		r.Logs = make([]float64, ratioPoints)
	}
	var p product
	for _, b := range all {
		x := b.Candidate.Bad + b.Baseline.Bad
		if x == 0 || b.Candidate.exposed() == 0 || b.Baseline.exposed() == 0 {
			continue
		}
		r.N += x
		p.candidate += float64(b.Candidate.Bad)
		nc, nb := float64(b.Candidate.exposed()), float64(b.Baseline.exposed())
		if x > fewFactors {
			for i, v := range ratioValues {
				r.Logs[i] -= float64(x) * math.Log((v*nc+nb)/(nc+nb))
			}
			continue
		}
		if p.factors+x > maxFactors {
			p.into(r.Logs)
		}
		p.multiply(nc/(nc+nb), x)
	}
	p.into(r.Logs)
	if r.N == 0 {
		r.Logs = nil
	}
}

const (
	fewFactors = 8   // from there on a logarithm is as fast
	maxFactors = 100 // each from 1/57 to 57, so that the product is a number
)

// product is a part of ℓ before its logarithm is taken.
type product struct {
	candidate float64 // Σ x_c
	factors   int64   // of each of the following
	of        [ratioPoints]float64
}

// multiply takes x bad requests of a batch in which the candidate had a share of all requests.
func (p *product) multiply(share float64, x int64) {
	for i, v := range ratioValues {
		f := 1 + (v-1)*share
		product := f
		for range x - 1 {
			product *= f
		}
		if p.factors > 0 {
			product *= p.of[i]
		}
		p.of[i] = product
	}
	p.factors += x
}

// into adds to logs what there is, and begins anew.
func (p *product) into(logs []float64) {
	if p.candidate > 0 {
		for i, u := range ratioGrid {
			logs[i] += p.candidate * u
		}
	}
	if p.factors > 0 {
		for i := range logs {
			logs[i] -= math.Log(p.of[i])
		}
	}
	p.candidate, p.factors = 0, 0
}

// Interval is where the ratio is: 0 and infinity stand for bounds that are not known. best is the most likely one, and NaN if there
// is no bad request.
func (r *Ratio) Interval(alpha float64) (low, best, high float64) {
	if r.N == 0 {
		return 0, math.NaN(), math.Inf(1)
	}
	at := slices.Index(r.Logs, slices.Max(r.Logs))
	floor := logMean(r.Logs) + math.Log(alpha)
	low, high = math.Exp(r.cross(at, -1, floor)), math.Exp(r.cross(at, 1, floor))
	switch at {
	case 0:
		return 0, 0, high
	case ratioPoints - 1:
		return low, math.Inf(1), math.Inf(1)
	}
	p := parabola(ratioGrid[at-1:at+2], r.Logs[at-1:at+2])
	return low, math.Exp(p.top()), high
}

// cross is where ℓ falls below floor, going from its largest value at a point towards dir: minus or plus infinity, if it
// does not.
func (r *Ratio) cross(at, dir int, floor float64) float64 {
	for i := at + dir; i >= 0 && i < ratioPoints; i += dir {
		if r.Logs[i] >= floor {
			continue
		}
		if r.Logs[i-dir] < floor { // the top itself is between the points, and barely above
			return ratioGrid[i]
		}
		inside := i - dir
		mid := min(max(inside, 1), ratioPoints-2)
		p := parabola(ratioGrid[mid-1:mid+2], r.Logs[mid-1:mid+2])
		return edge(ratioGrid[inside], ratioGrid[i], func(u float64) bool { return p.at(u) >= floor })
	}
	return math.Inf(dir)
}

// quadratic is a + b·(u-o) + c·(u-o)².
type quadratic struct{ o, a, b, c float64 }

func parabola(u, v []float64) quadratic {
	d1, d2 := (v[1]-v[0])/(u[1]-u[0]), (v[2]-v[1])/(u[2]-u[1])
	c := (d2 - d1) / (u[2] - u[0])
	return quadratic{o: u[1], a: v[1], b: d1 + c*(u[1]-u[0]), c: c}
}

func (q quadratic) at(u float64) float64 { return q.a + (u-q.o)*(q.b+(u-q.o)*q.c) }

func (q quadratic) top() float64 {
	if q.c == 0 {
		return q.o
	}
	return q.o - q.b/(2*q.c)
}

// Check says what is wrong with a state that was read.
func (r *Ratio) Check() error {
	if r.N < 0 || (r.N > 0) != (r.Logs != nil) || r.Logs != nil && len(r.Logs) != ratioPoints || slices.ContainsFunc(r.Logs, notFinite) {
		return fmt.Errorf("%d bad requests with %d logarithms cannot be: %d are kept", r.N, len(r.Logs), ratioPoints)
	}
	return nil
}
