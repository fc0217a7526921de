package reference

import (
	"math"
	"slices"
	"sort"
)

// Quantiles is the p-value for "both have the same quantile p", valid at all times (theorem 5): a and b are sorted, and the mixture is
// tuned for at values of both together.
func Quantiles(a, b []float64, p, at float64) float64 {
	const alpha = .05 // what the mixture is tuned for
	m := BetaBinomial(p*(1-p)*at, alpha, p, 1-p)
	arm := func(all []float64) func(x float64) float64 {
		n := float64(len(all))
		g := func(below float64) float64 { return m((below-p)*n, p*(1-p)*n) }
		return func(x float64) float64 {
			// What lies between less and less-or-equal may be said to be below: as much as is best for the hypothesis.
			less := float64(sort.SearchFloat64s(all, x)) / n
			orEqual := float64(sort.Search(len(all), func(i int) bool { return all[i] > x })) / n
			return g(min(max(p, less), orEqual))
		}
	}
	x, y := arm(a), arm(b)
	least := math.Inf(1)
	for _, v := range slices.Concat(a, b) {
		least = min(least, x(v)+y(v))
	}
	return min(1, math.Exp(-least))
}

// MannWhitney is Wilcoxon's rank sum test: U of a, and the two-sided p-value by the normal approximation with corrections for
// continuity and ties.
func MannWhitney(a, b []float64) (u, p float64) {
	type value struct {
		x     float64
		first bool
	}
	var all []value
	for _, x := range a {
		all = append(all, value{x, true})
	}
	for _, x := range b {
		all = append(all, value{x, false})
	}
	slices.SortFunc(all, func(v, w value) int {
		switch {
		case v.x < w.x:
			return -1
		case v.x > w.x:
			return 1
		}
		return 0
	})
	n, m := float64(len(a)), float64(len(b))
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].x == all[i].x {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for ; i < j; i++ {
			if all[i].first {
				ranks += float64(j) - (t-1)/2
			}
		}
	}
	u = ranks - n*(n+1)/2
	mean, total := n*m/2, n+m
	sd := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1))))
	z := max(0, math.Abs(u-mean)-.5) / sd
	return u, math.Erfc(z / math.Sqrt2)
}

// Shift is the Hodges-Lehmann estimate of how much a lies above b, and its exact confidence interval.
func Shift(a, b []float64, confidence float64) (low, estimate, high float64) {
	var d []float64
	for _, x := range a {
		for _, y := range b {
			d = append(d, x-y)
		}
	}
	slices.Sort(d)
	k := rankSumQuantile(len(a), len(b), (1-confidence)/2)
	n := len(d)
	return d[max(k, 1)-1], (d[(n-1)/2] + d[n/2]) / 2, d[n-max(k, 1)]
}

// rankSumQuantile is the smallest u with P(U <= u) >= p under the hypothesis, by counting.
func rankSumQuantile(n, m int, p float64) int {
	// ways[u] of choosing n of n+m ranks with rank sum u above the least: Gaussian binomial coefficients.
	ways := make([]float64, n*m+1)
	ways[0] = 1
	for i := 1; i <= n; i++ {
		for u := n * m; u >= m+i; u-- {
			ways[u] -= ways[u-m-i]
		}
		for u := i; u <= n*m; u++ {
			ways[u] += ways[u-i]
		}
	}
	all := 0.0
	for _, w := range ways {
		all += w
	}
	sum := 0.0
	for u, w := range ways {
		if sum += w; sum >= p*all {
			return u
		}
	}
	return n * m
}

// ChiSquare is the p-value for "counts a and b have the shares w and 1-w", with one degree of freedom.
func ChiSquare(a, b, w float64) float64 {
	n := a + b
	x := (a-n*w)*(a-n*w)/(n*w) + (b-n*(1-w))*(b-n*(1-w))/(n*(1-w))
	return math.Erfc(math.Sqrt(x / 2))
}

// Superiority is the probability that one of a is above one of b, ties by half: the common language effect size of McGraw and Wong, as
// Vargha and Delaney have it. It is U over all pairs.
func Superiority(a, b []float64) float64 {
	u, _ := MannWhitney(a, b)
	return u / float64(len(a)*len(b))
}
