package admit

import (
	"cmp"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// The defaults of an AdaptivePolicy.
const (
	defaultLeast    = 3
	defaultMost     = 1000
	defaultSampling = 100 * time.Millisecond
	defaultMeasure  = time.Minute
	defaultBuffer   = 25
	measureSamples  = 50
	windowSamples   = 10
	leastGradient   = 0.5
	mostGradient    = 2
	// minimal is after how many windows at the least bound the ideal latency is doubted.
	minimal = 5
)

// AdaptivePolicy is how an Adaptive finds its bound. Zero fields stand for defaults, which are Envoy's where it has any.
type AdaptivePolicy struct {
	Least, Most int64         // the bound is never outside of these; 0: 3, 1000
	Sampling    time.Duration // how often it is found anew; 0: 100 ms
	Measure     time.Duration // how often the ideal latency is measured anew; 0: 1 min
	Buffer      int           // percent by which latency may exceed the ideal without meaning a queue; 0: 25
}

// Adaptive is a bound for a [Limit] that follows latency: where requests take longer than they do with nobody else there, they
// stand in a queue that the backends have and nobody sees. It is the gradient controller of Envoy's adaptive concurrency, after
// Netflix's concurrency limits. After each sampling window:
//
//	gradient = ideal · (1 + buffer) / latency      within [0.5, 2]
//	base     = gradient · bound
//	bound    = base + √base                        within [least, most]
//
// latency being the mean of the window, and ideal the least mean since it was measured last. It is measured every minute, by
// fifty requests with no more than the least bound in flight; and when the bound has been the least for five windows, for then the
// ideal is likely out of date. Where less than half of the bound is in flight there is no queue, and it is measured as it is.
//
// Its methods are safe for concurrent use. They lock nothing; the one that ends a window does the arithmetic for all.
type Adaptive struct {
	policy AdaptivePolicy
	bound  atomic.Int64

	sum, count, most atomic.Int64 // of this window; most in flight
	ends             atomic.Int64 // this window

	mu sync.Mutex // only ever tried: guards what follows
	g  gradient
}

// gradient is the controller apart from where its samples come from.
type gradient struct {
	bound     float64
	ideal     float64 // nanoseconds; 0: not known
	measuring bool
	sum       float64 // of what is measured
	n         int64
	measureAt int64 // when to measure next, or to give up measuring
	atLeast   int   // windows with the least bound
}

// NewAdaptive begins with the least bound, and measures.
func NewAdaptive(p AdaptivePolicy, now int64) *Adaptive {
	p.Least, p.Most = cmp.Or(p.Least, defaultLeast), cmp.Or(p.Most, defaultMost)
	p.Least = max(p.Least, 1)
	p.Most = max(p.Most, p.Least)
	p.Sampling, p.Measure, p.Buffer = cmp.Or(p.Sampling, defaultSampling), cmp.Or(p.Measure, defaultMeasure), cmp.Or(p.Buffer, defaultBuffer)
	a := &Adaptive{policy: p, g: gradient{bound: float64(p.Least), measuring: true}}
	a.bound.Store(p.Least)
	a.ends.Store(now + int64(p.Sampling))
	return a
}

// Bound is the bound of this moment.
func (a *Adaptive) Bound() int64 { return a.bound.Load() }

// Observe notes that a request has taken so long, with inFlight at its end, itself among them. Failures are not to be
// observed: they say nothing of latency.
func (a *Adaptive) Observe(now int64, took time.Duration, inFlight int64) {
	a.sum.Add(int64(took))
	a.count.Add(1)
	for most := a.most.Load(); inFlight > most && !a.most.CompareAndSwap(most, inFlight); most = a.most.Load() {
	}
	if now < a.ends.Load() || a.count.Load() < windowSamples || !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	if now < a.ends.Load() { // somebody else has just ended it
		return
	}
	a.ends.Store(now + int64(a.policy.Sampling))
	n := a.count.Swap(0)
	sum := a.sum.Swap(0)
	a.g = a.g.next(a.policy, now, float64(sum), n, a.most.Swap(0))
	if a.g.measuring {
		a.bound.Store(a.policy.Least)
	} else {
		a.bound.Store(int64(a.g.bound))
	}
}

// next is g after a window of n requests that took sum in all, of which at most inFlight were there at once.
func (g gradient) next(p AdaptivePolicy, now int64, sum float64, n, inFlight int64) gradient {
	if n <= 0 {
		return g
	}
	if g.measuring {
		return g.measure(p, now, sum, n, inFlight)
	}
	latency := max(sum/float64(n), 1)
	g.ideal = min(g.ideal, latency)
	busy := float64(inFlight) >= g.bound/2
	slope := min(max(g.ideal*(1+float64(p.Buffer)/100)/latency, leastGradient), mostGradient)
	base := slope * g.bound
	bound := base + math.Sqrt(base)
	if slope >= 1 && !busy {
		bound = g.bound // nothing shows that more would do
	}
	g.bound = min(max(bound, float64(p.Least)), float64(p.Most))
	if g.atLeast++; g.bound > float64(p.Least) {
		g.atLeast = 0
	}
	switch {
	case g.atLeast >= minimal, now >= g.measureAt && busy:
		g.measuring, g.measureAt = true, now+int64(p.Measure)
	case now >= g.measureAt: // nothing stands in a queue
		g.ideal, g.measureAt = latency, now+int64(p.Measure)
	}
	return g
}

// measure takes a window with the least bound. One in which more were in flight does not count: they stood in the queue. If it goes
// on like that, the bound is not heeded, or something is in flight for long, and what is known must do.
func (g gradient) measure(p AdaptivePolicy, now int64, sum float64, n, inFlight int64) gradient {
	late := g.measureAt > 0 && now >= g.measureAt
	if inFlight <= p.Least || late && g.ideal == 0 {
		g.sum += sum
		g.n += n
	}
	switch {
	case g.n >= measureSamples:
		g.ideal = max(g.sum/float64(g.n), 1)
	case !late || g.ideal == 0:
		g.measureAt = cmp.Or(g.measureAt, now+int64(p.Measure))
		return g
	}
	g.measuring, g.sum, g.n = false, 0, 0
	g.atLeast, g.measureAt = 0, now+int64(p.Measure)
	return g
}
