package verify

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Paired is an e-process for "in a slice of time the candidate's part of bad requests is above the baseline's as often as below it,
// by as much". It is for what comes in bursts: a process that stands still makes all slow that it has in hand, and [Counts] takes
// each of these for a witness of its own. Here a slice is one witness, whatever happened in it.
//
// What a slice says is the Mantel-Haenszel difference of its batches (1959), D, between -1 and 1:
//
//	D = Σ (x_c·n_b - x_b·n_c)/(n_c + n_b)  /  Σ n_c·n_b/(n_c + n_b)
//
// Batches of other services, edges or times of day are thereby compared each with itself. D is scaled by the mean size of earlier ones,
// to d. For each sharpness λ the e-value is multiplied by
//
//	1 + tanh(λ·d)  =  2/(1 + exp(-2·λ·d))
//
// and the mean over several λ is taken: small ones see small differences that add up, large ones see that it is nearly always the same sign. When the
// arms are exchangeable within a slice, D is symmetric given all earlier ones, tanh is odd, and the factor has mean 1 exactly.
//
// Arms of different size are not exchangeable, only the mean of D is 0. A small candidate is seldom hit, and hard when it is: then D cut at a
// is 0 or less in the mean for each a ("heavy on left", Bercu and Touati 2008), and so is tanh(λ·d), which is a mixture of such cuts. A
// candidate that is much larger than the baseline has it the other way round. There the factor is 1 + κ·D with κ = λ/(1 + λ), a
// bet on a bounded mean (Waudby-Smith and Ramdas 2024), which asks for nothing but that mean, and takes longer.
//
// How large a difference is, can convict nobody alone: a slice doubles the e-value at most. The zero Paired is ready. Its fields are its
// whole state. It is not safe for concurrent use.
type Paired struct {
	Open Slice     `json:"open,omitzero"` // the one under way: it says nothing yet
	N    int64     `json:"n,omitempty"`   // slices with a difference
	Size float64   `json:"size,omitempty"`
	Logs []float64 `json:"logs,omitempty"` // for each sharpness
	Most float64   `json:"most,omitempty"` // the largest log e-value so far
}

// A Slice is what a [Paired] keeps of batches until their time is over.
type Slice struct {
	Until     time.Time `json:"until"`
	Excess    float64   `json:"excess"` // bad requests of the candidate beyond its part of all, in each batch
	Weight    float64   `json:"weight"`
	Candidate int64     `json:"candidate"` // requests
	Baseline  int64     `json:"baseline"`
}

// DefaultSlice is how long a slice lasts: several times what processes stand still for in their collector, for want of a core, or waiting
// for a disk, so that it is seldom two slices which one standstill falls into.
const DefaultSlice = 2 * time.Second

// pairedLambdas are the sharpnesses.
var pairedLambdas = []float64{.25, .5, 1, 2, 4}

// pairedLarger is how many times as many requests as the baseline the candidate may have, for tanh to be sound.
const pairedLarger = 1.5

// Add takes one batch, which ended at at. Batches come in the order of time. One that cannot be changes nothing.
func (p *Paired) Add(at time.Time, b Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	if !at.Before(p.Open.Until) {
		p.close()
		p.Open.Until = at.Truncate(DefaultSlice).Add(DefaultSlice)
	}
	nc, nb := float64(b.Candidate.exposed()), float64(b.Baseline.exposed())
	if nc == 0 || nb == 0 {
		return nil
	}
	s := &p.Open
	s.Excess += (float64(b.Candidate.Bad)*nb - float64(b.Baseline.Bad)*nc) / (nc + nb)
	s.Weight += nc * nb / (nc + nb)
	s.Candidate += b.Candidate.exposed()
	s.Baseline += b.Baseline.exposed()
	return nil
}

// close weighs the open slice.
func (p *Paired) close() {
	s := p.Open
	p.Open = Slice{}
	if s.Weight == 0 || s.Excess == 0 {
		return
	}
	d := min(max(s.Excess/s.Weight, -1), 1)
	if p.N > 0 { // the first has nothing to be scaled by
		if p.Logs == nil {
			p.Logs = make([]float64, len(pairedLambdas))
		}
		scaled := d * float64(p.N) / p.Size
		larger := float64(s.Candidate) > pairedLarger*float64(s.Baseline)
		for i, l := range pairedLambdas {
			if larger {
				p.Logs[i] += math.Log1p(l / (1 + l) * d)
			} else {
				p.Logs[i] += math.Ln2 - softplus(-2*l*scaled)
			}
		}
	}
	p.N++
	p.Size += math.Abs(d)
	p.Most = max(p.Most, p.LogE())
}

// softplus is log(1 + exp(x)).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// LogE is the logarithm of the e-value of all slices that are over.
func (p *Paired) LogE() float64 {
	if p.Logs == nil {
		return 0
	}
	return logMean(p.Logs)
}

// P is the p-value that is valid at any time.
func (p *Paired) P() float64 { return min(1, math.Exp(-p.Most)) }

// Check says what is wrong with a state that was read.
func (p *Paired) Check() error {
	s := &p.Open
	switch {
	case p.N < 0 || !(p.Size >= 0) || notFinite(p.Size) || p.N > 0 && p.Size == 0 || notFinite(p.Most):
		return fmt.Errorf("%d slices with differences of %v cannot be", p.N, p.Size)
	case p.Logs != nil && len(p.Logs) != len(pairedLambdas) || slices.ContainsFunc(p.Logs, notFinite):
		return fmt.Errorf("slices have left %v: there are %d logarithms of e-values", p.Logs, len(pairedLambdas))
	case notFinite(s.Excess) || notFinite(s.Weight) || s.Weight < 0 || s.Candidate < 0 || s.Baseline < 0:
		return fmt.Errorf("an open slice of weight %v with an excess of %v cannot be", s.Weight, s.Excess)
	}
	return nil
}
