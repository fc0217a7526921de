package verify

import (
	"errors"
	"fmt"
	"math"
)

// Moments are n values by their sum and the sum of their squares. They add up.
type Moments struct {
	N       int64   `json:"n"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}

// Add takes one value.
func (m *Moments) Add(x float64) { m.Merge(Moments{1, x, x * x}) }

// Merge takes the values of o.
func (m *Moments) Merge(o Moments) {
	m.N += o.N
	m.Sum += o.Sum
	m.Squares += o.Squares
}

// Mean is the mean, and 0 of nothing.
func (m Moments) Mean() float64 {
	if m.N == 0 {
		return 0
	}
	return m.Sum / float64(m.N)
}

// Variance is that of the sample, with n-1.
func (m Moments) Variance() float64 {
	if m.N < 2 {
		return 0
	}
	n := float64(m.N)
	return max(0, (m.Squares-m.Sum*m.Sum/n)/(n-1))
}

// Check says what cannot be.
func (m Moments) Check() error {
	if m.N < 0 || notFinite(m.Sum) || notFinite(m.Squares) || m.Squares < 0 || m.N == 0 && (m.Sum != 0 || m.Squares != 0) {
		return fmt.Errorf("%d values of sum %v and sum of squares %v cannot be", m.N, m.Sum, m.Squares)
	}
	return nil
}

// An Estimate is a number with an error: approximately normal, from n values.
type Estimate struct {
	Value float64
	Error float64 // standard error
	N     int64
}

// MinMean is how many values an arm needs before a mean is judged: what is said of means is asymptotic.
const MinMean = 200

var errFew = errors.New("too few values for a mean")

// Difference is by how much the candidate's mean is above the baseline's.
func Difference(candidate, baseline Moments) Estimate {
	return Estimate{
		Value: candidate.Mean() - baseline.Mean(), N: candidate.N + baseline.N,
		Error: math.Sqrt(candidate.Variance()/float64(max(candidate.N, 1)) + baseline.Variance()/float64(max(baseline.N, 1))),
	}
}

// Lift is the difference in parts of the baseline's mean, by the delta method. It is an error when that mean is 0.
func Lift(candidate, baseline Moments) (Estimate, error) {
	a, b := baseline.Mean(), candidate.Mean()
	if a == 0 {
		return Estimate{}, fmt.Errorf("the baseline's mean is 0: compare the means themselves: %w", errFew)
	}
	return lift(a, baseline.Variance(), baseline.N, b, candidate.Variance(), candidate.N), nil
}

func lift(a, varA float64, nA int64, b, varB float64, nB int64) Estimate {
	v := varB/(a*a*float64(nB)) + varA*b*b/(a*a*a*a*float64(nA))
	return Estimate{Value: (b - a) / math.Abs(a), Error: math.Sqrt(v), N: nA + nB}
}

// Tuning is what an asymptotic confidence sequence is tightest at: Expected values of both arms together. 0 is 5,000.
type Tuning struct {
	Alpha    float64
	Expected int64
}

func (t Tuning) rho(alpha float64) float64 {
	n := float64(t.Expected)
	if n == 0 {
		n = 5_000
	}
	return math.Sqrt((-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / n)
}

// Interval is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics 2024)
// around e: with probability of about 1-alpha the truth is inside at all times at once.
func (t Tuning) Interval(e Estimate) (low, high float64) {
	n, rho := float64(e.N), t.rho(t.Alpha)
	a := n*rho*rho + 1
	half := e.Error * math.Sqrt(2*a/(n*rho*rho)*math.Log(math.Sqrt(a)/t.Alpha))
	return e.Value - half, e.Value + half
}

// Bounds are the lower and the upper bound of e, each of which alone holds with probability of about 1-alpha at all times.
func (t Tuning) Bounds(e Estimate) (low, high float64) {
	n, rho := float64(e.N), t.rho(2*t.Alpha)
	a := n*rho*rho + 1
	half := e.Error * math.Sqrt(2*a/(n*rho*rho)*math.Log(1+math.Sqrt(a)/(2*t.Alpha)))
	return e.Value - half, e.Value + half
}

// LogE is the logarithm of the asymptotic e-value for "the truth is zero", looking both ways.
func (t Tuning) LogE(e Estimate) float64 {
	if e.Error == 0 {
		return 0
	}
	n, rho := float64(e.N), t.rho(t.Alpha)
	z, a := e.Value/e.Error, n*rho*rho+1
	return rho*rho*z*z*n/(2*a) - math.Log(a)/2
}

// LogWorse is the logarithm of the asymptotic e-value for "the truth is zero or below": the mixture of [Slices], over a
// half-normal distribution of positive truths.
func (t Tuning) LogWorse(e Estimate) float64 {
	if e.Error == 0 {
		return 0
	}
	n, rho := float64(e.N), t.rho(t.Alpha)
	z, a := e.Value/e.Error, n*rho*rho+1
	scaled := z * rho * math.Sqrt(n/a)
	return math.Log(4/a)/2 + scaled*scaled/2 + logNormalCDF(scaled)
}
