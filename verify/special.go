package verify

import "math"

// logBeta is the logarithm of the beta function at a and b.
func logBeta(a, b float64) float64 { return lgamma(a) + lgamma(b) - lgamma(a+b) }

func lgamma(x float64) float64 {
	y, _ := math.Lgamma(x)
	return y
}

// logFactorials are log n! up to where a batch seldom goes beyond.
var logFactorials = func() (t [4096]float64) {
	for n := range t {
		t[n] = lgamma(float64(n) + 1)
	}
	return t
}()

func logFactorial(n float64) float64 {
	if n < float64(len(logFactorials)) {
		return logFactorials[int(n)]
	}
	return lgamma(n + 1)
}

// logGammasHalf are log Γ(n + ½).
var logGammasHalf = func() (t [len(logFactorials)]float64) {
	for n := range t {
		t[n] = lgamma(float64(n) + .5)
	}
	return t
}()

func logGammaHalf(n float64) float64 {
	if n < float64(len(logGammasHalf)) {
		return logGammasHalf[int(n)]
	}
	return lgamma(n + .5)
}

// logSum is log(exp(a) + exp(b)), without leaving the range of numbers between.
func logSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logMean is the logarithm of the mean of exp(v), which is not empty.
func logMean(v []float64) float64 {
	most := math.Inf(-1)
	for _, x := range v {
		most = max(most, x)
	}
	if math.IsInf(most, 0) {
		return most
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(x - most)
	}
	return most + math.Log(sum/float64(len(v)))
}

// logNormalCDF is the logarithm of the standard normal distribution function. Below -30 the function itself is no number
// any more; there its asymptotic series serves (Abramowitz and Stegun, 26.2.12).
func logNormalCDF(x float64) float64 {
	if x > -30 {
		return math.Log(math.Erfc(-x/math.Sqrt2) / 2)
	}
	y := 1 / (x * x)
	return -x*x/2 - math.Log(-x*math.Sqrt(2*math.Pi)) + math.Log1p(-y*(1-3*y*(1-5*y)))
}

// logLowerBeta is log(I_x(a, b)), I being the regularised incomplete beta function and beta logBeta(a, b): by the continued fraction where that converges fast, by the other side elsewhere.
func logLowerBeta(x, a, b, beta float64) float64 {
	switch {
	case x <= 0:
		return math.Inf(-1)
	case x >= 1:
		return 0
	}
	front := a*math.Log(x) + b*math.Log1p(-x) - beta
	if x < (a+1)/(a+b+2) {
		return front + math.Log(betaFraction(x, a, b)/a)
	}
	return math.Log1p(-math.Exp(front + math.Log(betaFraction(1-x, b, a)/b)))
}

// betaFraction is the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
func betaFraction(x, a, b float64) float64 {
	const (
		tiny  = 1e-300
		exact = 1e-16
		most  = 10_000 // terms: about the square root of max(a, b) are needed
	)
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c := 1.0
	d := 1 / away(1-(a+b)*x/(a+1))
	f := d
	for m := 1.0; m < most; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / away(1+even*d)
		c = away(1 + even/c)
		f *= c * d
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / away(1+odd*d)
		c = away(1 + odd/c)
		step := c * d
		f *= step
		if math.Abs(step-1) < exact {
			break
		}
	}
	return f
}
