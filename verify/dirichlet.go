package verify

import (
	"fmt"
	"math"
	"slices"
)

// Shares is an e-process for "requests fall on arms by these shares": for a mismatch of the ratio in which traffic was to be
// split, and for arms that are compared over equal times (Lindon and Malek, NeurIPS 2022). It looks both ways, and
// mixes alternatives by a Dirichlet distribution around the shares:
//
//	log E = logB(α + S) - logB(α) - Σ S_i·log ρ_i      α = Concentration·ρ
//
// The zero Shares is not ready: it wants Want. The fields are its whole state. It is not safe for concurrent use.
type Shares struct {
	Want          []float64 `json:"want"`          // ρ: positive, of sum 1
	Concentration float64   `json:"concentration"` // k: large for small deviations; 0 is 10,000
	Counts        []int64   `json:"counts"`        // S
	Most          float64   `json:"most"`          // the largest log e-value so far
}

// Add takes the counts of one more interval, one for each share.
func (s *Shares) Add(counts ...int64) error {
	if err := s.Check(); err != nil {
		return err
	}
	if len(counts) != len(s.Want) {
		return fmt.Errorf("%d counts for %d shares: give one for each arm", len(counts), len(s.Want))
	}
	if i := slices.IndexFunc(counts, func(n int64) bool { return n < 0 }); i >= 0 {
		return fmt.Errorf("count %d is %d: counts are not negative", i+1, counts[i])
	}
	if s.Counts == nil {
		s.Counts = make([]int64, len(s.Want))
	}
	for i, n := range counts {
		s.Counts[i] += n
	}
	s.Most = max(s.Most, s.LogE())
	return nil
}

// Check says what is wrong with the shares.
func (s *Shares) Check() error {
	sum := 0.0
	for i, w := range s.Want {
		if !(w > 0) {
			return fmt.Errorf("share %d is %v: an arm that is to get nothing is not compared", i+1, w)
		}
		sum += w
	}
	if len(s.Want) < 2 || math.Abs(sum-1) > 1e-9 {
		return fmt.Errorf("the shares %v are not those of two arms or more that add up to 1", s.Want)
	}
	if s.Counts != nil && len(s.Counts) != len(s.Want) {
		return fmt.Errorf("there are %d counts for %d shares: this is the state of another plan", len(s.Counts), len(s.Want))
	}
	if s.Concentration < 0 || notFinite(s.Concentration) || notFinite(s.Most) {
		return fmt.Errorf("a concentration of %v is none: it is positive, or 0 for 10,000", s.Concentration)
	}
	return nil
}

// LogE is the logarithm of the e-value now.
func (s *Shares) LogE() float64 {
	if s.Counts == nil {
		return 0
	}
	prior, post := make([]float64, len(s.Want)), make([]float64, len(s.Want))
	e := 0.0
	for i, w := range s.Want {
		n := float64(s.Counts[i])
		prior[i] = s.concentration() * w
		post[i] = prior[i] + n
		e -= n * math.Log(w)
	}
	return e + logBetas(post) - logBetas(prior)
}

// P is the p-value that is valid at any time.
func (s *Shares) P() float64 { return min(1, math.Exp(-s.Most)) }

func (s *Shares) concentration() float64 {
	if s.Concentration == 0 {
		return 10_000
	}
	return s.Concentration
}

// logBetas is the logarithm of the multivariate beta function.
func logBetas(a []float64) float64 {
	sum, l := 0.0, 0.0
	for _, x := range a {
		sum += x
		l += lgamma(x)
	}
	return l - lgamma(sum)
}

// Rate is a confidence sequence for one probability (Robbins 1970, with the prior Beta(1/2, 1/2)): with probability at least
// 1-alpha it holds at all times at once. bad of n requests were bad.
func Rate(bad, n int64, alpha float64) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	s, f := float64(bad), float64(n-bad)
	norm := logBeta(.5+s, .5+f) - logBeta(.5, .5) - math.Log(1/alpha)
	in := func(p float64) bool {
		l := norm
		if s > 0 {
			l -= s * math.Log(p)
		}
		if f > 0 {
			l -= f * math.Log1p(-p)
		}
		return l < 0
	}
	return edge(s/float64(n), 0, in), edge(s/float64(n), 1, in)
}

// edge is how far from inside towards outside in still holds.
func edge(inside, outside float64, in func(float64) bool) float64 {
	if in(outside) || inside == outside {
		return outside
	}
	for range 200 {
		mid := (inside + outside) / 2
		if mid == inside || mid == outside {
			break
		}
		if in(mid) {
			inside = mid
		} else {
			outside = mid
		}
	}
	return inside
}

// Exceeds is an e-process for "the probability of a bad request is at most limit", by bad of n requests: a mixture over all
// probabilities above it (verification.md, 2a ii). Each likelihood ratio in it has mean at most 1 for every probability up to
// limit, so that it is one for all of them. It is the logarithm of the e-value.
func Exceeds(bad, n int64, limit float64) float64 {
	if n <= 0 || limit >= 1 {
		return 0
	}
	x, y := float64(bad), float64(n-bad)
	if limit <= 0 {
		if bad > 0 {
			return math.Inf(1)
		}
		return 0
	}
	// The mixture's distribution is Beta(1/2, 1/2) above the limit, before (π is the beta function there) and after.
	beta := logGammaHalf(x) + logGammaHalf(y) - logFactorial(x+y)
	after := beta + logLowerBeta(1-limit, .5+y, .5+x, beta)
	return after - logAbove(limit) - x*math.Log(limit) - y*math.Log1p(-limit)
}

// logAbove is the logarithm of what Beta(1/2, 1/2) has above limit, times π: it is the arcsine distribution.
func logAbove(limit float64) float64 { return math.Log(math.Pi - 2*math.Asin(math.Sqrt(limit))) }
