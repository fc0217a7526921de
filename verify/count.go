package verify

import (
	"fmt"
	"math"
	"slices"
)

// An Arm is what one release did in a batch: how many requests it had, and how many of them were bad. What bad is, a metric says:
// failed, slower than a threshold, different. Requests may stand for users or sessions.
type Arm struct {
	Requests int64 `json:"requests"`
	Bad      int64 `json:"bad"`
	// AtRisk is what Bad came out of where that is not Requests: of users who stay, of which Requests are the new ones and Bad those
	// who met their first error, it is how many had met none before, the new ones included. The arms are compared by it.
	AtRisk int64 `json:"at_risk,omitempty"`
}

// exposed is what the arm's bad ones came out of.
func (a Arm) exposed() int64 {
	if a.AtRisk != 0 {
		return a.AtRisk
	}
	return a.Requests
}

// A Batch is what both arms did in one interval. Whatever changes with time or with the kind of request must change for
// both alike within a batch; between batches anything may change, the split of the traffic too.
type Batch struct {
	Candidate Arm `json:"candidate"`
	Baseline  Arm `json:"baseline"`
}

// Check says what no batch can be.
func (b Batch) Check() error {
	for _, a := range []struct {
		name string
		Arm
	}{{"candidate", b.Candidate}, {"baseline", b.Baseline}} {
		switch {
		case a.Requests < 0 || a.Bad < 0 || a.AtRisk < 0:
			return fmt.Errorf("the %s has %d requests, %d of them bad: counts are not negative; was a counter that began anew taken for one that goes on?", a.name, a.Requests, a.Bad)
		case a.Bad > a.exposed():
			return fmt.Errorf("the %s has %d bad of %d requests: count both over the same interval", a.name, a.Bad, a.exposed())
		}
	}
	return nil
}

// DefaultRatios are the alternatives of a [Counts]: how many times the allowed odds of a bad request the candidate may have.
// The small ones see a slow rot, given time; the large ones see a release that is broken after ten requests.
var DefaultRatios = []float64{1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100}

// Counts is an e-process for "bad requests are at most Margin times as likely at the candidate as at the baseline".
//
// In each batch the bad requests are laid out between the arms as if by chance, with the shares of the traffic that the arms
// really had, never those that were configured. For each alternative w the likelihood of where they fell is compared with what
// it is at Margin:
//
//	π = r·n_c / (r·n_c + n_b)      θ = π·w / (1 - π + π·w)
//	L += x_c·log(θ/π) + x_b·log((1-θ)/(1-π))
//
// and the e-value is the mean of exp(L) over the alternatives. Given how many were bad in all, where they fall is
// hypergeometric when the arms are alike, and no convex function of that has a greater mean than under the binomial
// distribution (Hoeffding 1963, theorem 4); so each batch multiplies the e-value by something with mean at most 1. With
// Frequent set the hypergeometric distribution itself is the norm. It costs more time, and is worth it from about one bad request
// in ten: the binomial norm wastes a part of the evidence that is as large as that share.
//
// With a margin above 1 the proof is one for Poisson counts; for requests that are many per batch it is supported by
// simulation alone.
//
// The zero Counts is ready, with a margin of 1 and [DefaultRatios]. Its fields are its whole state: what is written as JSON and
// read again goes on where it was. It is not safe for concurrent use.
type Counts struct {
	Margin   float64   `json:"margin,omitempty"`   // the allowed ratio; 0 is 1
	Ratios   []float64 `json:"ratios,omitempty"`   // the alternatives, above 1; nil: DefaultRatios
	Frequent bool      `json:"frequent,omitempty"` // bad requests are no exception
	Total    Batch     `json:"total"`              // of all batches
	Logs     []float64 `json:"logs,omitempty"`     // L, for each alternative
	Most     float64   `json:"most,omitempty"`     // the largest log e-value so far

	log   float64   // LogE, once somebody asked
	known bool      // log is
	logWs []float64 // of Ratios
}

// Add takes one batch. A batch that cannot be changes nothing.
func (c *Counts) Add(b Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	c.Total.add(b)
	x := b.Candidate.Bad + b.Baseline.Bad
	if x == 0 || b.Candidate.exposed() == 0 || b.Baseline.exposed() == 0 {
		return nil // nothing, or nothing to compare it with
	}
	if c.Logs == nil {
		c.Logs = make([]float64, len(c.ratios()))
	}
	if c.Frequent {
		c.addFrequent(b, x)
	} else {
		c.addRare(b, x)
	}
	c.known = false
	c.Most = max(c.Most, c.LogE())
	return nil
}

func (b *Batch) add(o Batch) {
	b.Candidate.Requests += o.Candidate.Requests
	b.Candidate.Bad += o.Candidate.Bad
	b.Baseline.Requests += o.Baseline.Requests
	b.Baseline.Bad += o.Baseline.Bad
}

func (c *Counts) ratios() []float64 {
	if c.Ratios == nil {
		return DefaultRatios
	}
	return c.Ratios
}

// logDefaultRatios are the logarithms of DefaultRatios.
var logDefaultRatios = logs(DefaultRatios)

func (c *Counts) logRatios() []float64 {
	if c.Ratios == nil {
		return logDefaultRatios
	}
	if c.logWs == nil {
		c.logWs = logs(c.Ratios)
	}
	return c.logWs
}

func logs(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = math.Log(x)
	}
	return out
}

func (c *Counts) margin() float64 {
	if c.Margin == 0 {
		return 1
	}
	return c.Margin
}

// addRare needs one logarithm for an alternative: both fractions of θ and π have the same numerators but for w.
func (c *Counts) addRare(b Batch, x int64) {
	nc, nb := c.margin()*float64(b.Candidate.exposed()), float64(b.Baseline.exposed())
	xc, all := float64(b.Candidate.Bad), float64(x)
	logRatios := c.logRatios()
	for i, w := range c.ratios() {
		c.Logs[i] += xc*logRatios[i] - all*math.Log1p((w-1)*nc/(nc+nb))
	}
}

func (c *Counts) addFrequent(b Batch, x int64) {
	xc := float64(b.Candidate.Bad)
	null := logHypergeometric(b, x, c.margin())
	for i, w := range c.ratios() {
		c.Logs[i] += xc*math.Log(w) - logHypergeometric(b, x, c.margin()*w) + null
	}
}

// logHypergeometric is log Σ_k C(n_c, k)·C(n_b, x-k)·w^k, but for a factor that does not depend on w. It is summed outwards from
// its largest term, until the rest is nothing.
func logHypergeometric(b Batch, x int64, w float64) float64 {
	nc, nb, n := float64(b.Candidate.exposed()), float64(b.Baseline.exposed()), float64(x)
	least, most := max(0, n-nb), min(n, nc)
	k := min(max(math.Floor(peak(nc, nb, n, w)), least), most)
	const nothing = 1e-18
	sum := 1.0
	for term, i := 1.0, k; i < most; i++ {
		term *= (nc - i) * (n - i) * w / ((i + 1) * (nb - n + i + 1))
		if sum += term; term < nothing*sum {
			break
		}
	}
	for term, i := 1.0, k; i > least; i-- {
		term *= i * (nb - n + i) / ((nc - i + 1) * (n - i + 1) * w)
		if sum += term; term < nothing*sum {
			break
		}
	}
	return k*math.Log(w) + logChoose(nc, k) + logChoose(nb, n-k) + math.Log(sum)
}

// peak is about where the terms of logHypergeometric are largest: where one is as large as the next.
func peak(nc, nb, x, w float64) float64 {
	// (nc-k)(x-k)w = (k+1)(nb-x+k+1), a quadratic equation in k.
	a := w - 1
	b := -((nc+x)*w + nb - x + 2)
	c := nc*x*w - (nb - x + 1)
	if math.Abs(a) < 1e-9 {
		return -c / b
	}
	root := math.Sqrt(max(b*b-4*a*c, 0))
	return 2 * c / (-b + root)
}

// logChoose is of whole numbers, k from 0 to n.
func logChoose(n, k float64) float64 { return logFactorial(n) - logFactorial(k) - logFactorial(n-k) }

// LogE is the logarithm of the e-value now.
func (c *Counts) LogE() float64 {
	if c.Logs == nil {
		return 0
	}
	if !c.known {
		c.log, c.known = logMean(c.Logs), true
	}
	return c.log
}

// P is the p-value that is valid at any time: 1 over the largest e-value so far, at most 1.
func (c *Counts) P() float64 { return min(1, math.Exp(-c.Most)) }

// Check says what is wrong with a state that was read.
func (c *Counts) Check() error {
	switch bad := slices.IndexFunc(c.ratios(), func(w float64) bool { return !(w > 1) || math.IsInf(w, 1) }); {
	case bad >= 0:
		return fmt.Errorf("ratio %v is no alternative: it must be above 1", c.Ratios[bad])
	case !(c.margin() >= 1) || math.IsInf(c.margin(), 1):
		return fmt.Errorf("a margin of %v is none: it is the ratio that is allowed, 1 or above", c.Margin)
	case c.Logs != nil && len(c.Logs) != len(c.ratios()):
		return fmt.Errorf("there are %d logarithms for %d ratios: this is the state of another plan", len(c.Logs), len(c.ratios()))
	case slices.ContainsFunc(c.Logs, notFinite) || notFinite(c.Most):
		return fmt.Errorf("the state holds %v, which is no evidence", c.Logs)
	}
	return c.Total.Check()
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
