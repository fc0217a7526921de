package reference

import "math"

// A Mixture is the logarithm of a supermartingale of s at v.
type Mixture func(s, v float64) float64

// Rho is where a normal mixture is tuned: tightest at intrinsic time v for alpha.
func Rho(v, alpha float64) float64 {
	l := 2 * math.Log(1/alpha)
	return v / (l + math.Log1p(l))
}

// Normal is the two-sided normal mixture, tuned at v for alpha.
func Normal(v, alpha float64) Mixture {
	rho := Rho(v, alpha)
	return func(s, v float64) float64 { return math.Log(rho/(v+rho))/2 + s*s/(2*(v+rho)) }
}

// HalfNormal is the one-sided normal mixture.
func HalfNormal(v, alpha float64) Mixture {
	rho := Rho(v, 2*alpha)
	return func(s, v float64) float64 {
		return math.Log(4*rho/(v+rho))/2 + s*s/(2*(v+rho)) + math.Log(math.Erfc(-s/math.Sqrt(2*(v+rho)))/2)
	}
}

// BetaBinomial is the two-sided mixture for sums whose steps are between -g and h.
func BetaBinomial(v, alpha, g, h float64) Mixture {
	r := max(Rho(v, alpha)-g*h, .001*g*h)
	a, b := r/(g*(g+h)), r/(h*(g+h))
	return func(s, v float64) float64 {
		x, y := (v-g*s)/(g*(g+h)), (v+h*s)/(h*(g+h))
		return v/(g*h)*math.Log(g+h) - y*math.Log(g) - x*math.Log(h) + logBeta(a+x, b+y) - logBeta(a, b)
	}
}

// Bound is where m reaches log(1/alpha) at v, below most.
func (m Mixture) Bound(v, alpha, most float64) float64 {
	return root(0, most, func(s float64) bool { return m(s, v) < math.Log(1/alpha) })
}

// Bernoulli is the confidence sequence of a probability by beta-binomial mixtures, after bad of n.
func Bernoulli(bad, n, alpha, at float64) (low, high float64) {
	p := bad / n
	in := func(q float64) bool {
		return BetaBinomial(q*(1-q)*at, alpha, q, 1-q)((p-q)*n, q*(1-q)*n) < math.Log(1/alpha)
	}
	if p > 0 {
		low = root(p, 0, in)
	}
	if high = 1; p < 1 {
		high = root(p, 1, in)
	}
	return low, high
}

// root is where in ends between inside and outside, of which it need not be defined at the latter.
func root(inside, outside float64, in func(float64) bool) float64 {
	for range 100 {
		if mid := (inside + outside) / 2; in(mid) {
			inside = mid
		} else {
			outside = mid
		}
	}
	return (inside + outside) / 2
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// The constants of stitched bounds, as published.
const (
	stitchS   = 1.4
	stitchEta = 2
)

func zeta(s float64) float64 {
	// Euler and Maclaurin, from a sum of 20 terms.
	const n = 20
	sum := 0.0
	for k := 1.0; k < n; k++ {
		sum += math.Pow(k, -s)
	}
	sum += math.Pow(n, 1-s)/(s-1) + math.Pow(n, -s)/2 + s*math.Pow(n, -s-1)/12
	return sum - s*(s+1)*(s+2)*math.Pow(n, -s-3)/720
}

// Stitched is the polynomial stitched boundary of a sub-gamma sum with scale c, from intrinsic time m on.
func Stitched(v, alpha, m, c float64) float64 {
	v = max(v, m)
	l := stitchS*math.Log(math.Log(stitchEta*v/m)) + math.Log(zeta(stitchS)/(alpha*math.Pow(math.Log(stitchEta), stitchS)))
	return stitch(v, l, c)
}

func stitch(v, l, c float64) float64 {
	k1 := (math.Pow(stitchEta, .25) + math.Pow(stitchEta, -.25)) / math.Sqrt2
	k2 := (math.Sqrt(stitchEta) + 1) / 2
	return math.Sqrt(k1*k1*v*l+k2*k2*c*c*l*l) + k2*c*l
}

// DoubleStitched bounds the error of the number of values below quantile p of t, for all p and t from at on.
func DoubleStitched(p, t, alpha, at float64) float64 {
	const delta = .5
	t = max(t, at)
	logit := math.Log(p / (1 - p))
	r := p
	if p < .5 {
		r = min(.5, 1/(1+math.Exp(-logit-2*delta*math.Sqrt(at*stitchEta/t))))
	}
	v := r * (1 - r) * t
	j := math.Sqrt(t/at)*math.Abs(logit)/(2*delta) + 1
	z := zeta(stitchS)
	l := stitchS*(math.Log(math.Log(stitchEta*t/at))+math.Log(j)) + math.Log(2*z*(2*z+1)/(alpha*math.Pow(math.Log(stitchEta), stitchS)))
	return delta*math.Sqrt(stitchEta*v/at) + stitch(v, l, (1-2*p)/3)
}

// Band is by how much an empirical distribution function of t values may be off anywhere, at all t from m on (theorem 2).
func Band(t, alpha, m float64) float64 {
	return bandA * math.Sqrt((math.Log1p(math.Log(t/m))+BandConstant(alpha))/t)
}

const bandA = .85

// BandConstant is C of [Band]: the least for which the bound of the error is alpha.
func BandConstant(alpha float64) float64 {
	return root(1e3, 2, func(c float64) bool { return bandError(c) < alpha })
}

// bandError is the least bound of the error over η.
func bandError(c float64) float64 {
	most := root(1, 2*bandA*bandA, func(eta float64) bool { return math.Sqrt(eta/2)+math.Sqrt(2*(eta-1)/c) < bandA })
	at := func(eta float64) float64 {
		g := 2 / eta * math.Pow(bandA-math.Sqrt(2*(eta-1)/c), 2)
		if g <= 1 || eta <= 1 {
			return math.Inf(1)
		}
		return 4 * math.Exp(-g*c) * (1 + 1/((g-1)*math.Log(eta)))
	}
	low, high := 1.0, most
	for range 200 { // it falls and then rises
		if a, b := low+(high-low)/3, high-(high-low)/3; at(a) < at(b) {
			high = b
		} else {
			low = a
		}
	}
	return at((low + high) / 2)
}
