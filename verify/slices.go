package verify

import (
	"fmt"
	"math"
)

// Slices is an e-process for "the difference between the arms is as often up as down, by as much": for gauges, and for what comes in
// bursts. A slice is some seconds of both arms, which are of the same size; its difference is the candidate's value less the
// baseline's. When the arms are exchangeable within a slice, the difference is symmetric given all earlier ones. It is
// scaled by the mean size of the earlier ones, and bounded to five times that, both of which keep it symmetric. With S the sum of
// the scaled differences and V that of their squares (de la Peña 1999; Howard, Ramdas, McAuliffe and Sekhon 2020, lemma 3):
//
//	log E = ½·log(4ρ/(V+ρ)) + S²/(2(V+ρ)) + log Φ(S/√(V+ρ))
//
// It is for candidates that are higher. It must not be used where one client's burst lasts over slices: affected users are
// to be counted then, with [Counts].
//
// The zero Slices is ready. Its fields are its whole state. It is not safe for concurrent use.
type Slices struct {
	N     int64   `json:"n"`     // slices with a difference
	Size  float64 `json:"size"`  // the sum of the sizes of their differences
	Sum   float64 `json:"sum"`   // S
	Power float64 `json:"power"` // V
	Most  float64 `json:"most"`  // the largest log e-value so far
}

const (
	sliceRho   = 4 // weighs what is found after a few slices against what is found after many
	sliceBound = 5 // of a scaled difference
)

// Add takes the values of both arms in one slice.
func (s *Slices) Add(candidate, baseline float64) error {
	d := candidate - baseline
	if notFinite(d) {
		return fmt.Errorf("the values %v and %v of a slice have no difference: leave out slices without a value", candidate, baseline)
	}
	if d == 0 {
		return nil
	}
	if s.N > 0 { // the first has nothing to be scaled by
		scaled := min(max(d*float64(s.N)/s.Size, -sliceBound), sliceBound)
		s.Sum += scaled
		s.Power += scaled * scaled
	}
	s.N++
	s.Size += math.Abs(d)
	s.Most = max(s.Most, s.LogE())
	return nil
}

// LogE is the logarithm of the e-value now.
func (s *Slices) LogE() float64 {
	v := s.Power + sliceRho
	return math.Log(4*sliceRho/v)/2 + s.Sum*s.Sum/(2*v) + logNormalCDF(s.Sum/math.Sqrt(v))
}

// P is the p-value that is valid at any time.
func (s *Slices) P() float64 { return min(1, math.Exp(-s.Most)) }

// Check says what is wrong with a state that was read.
func (s *Slices) Check() error {
	if s.N < 0 || s.Size < 0 || s.Power < 0 || notFinite(s.Size) || notFinite(s.Sum) || notFinite(s.Power) || notFinite(s.Most) || s.N > 0 && s.Size == 0 {
		return fmt.Errorf("%d slices with sums %v, %v and %v cannot be", s.N, s.Size, s.Sum, s.Power)
	}
	return nil
}
