package reference

import (
	"math"
	"math/rand/v2"
	"testing"
)

// These are the published numbers of verification.md, 2i, by number there.

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		t.Errorf("%s: %.12g, and not %.12g", what, got, want)
	}
}

const digits7 = 5e-7

func TestBoundaries(t *testing.T) {
	t.Parallel()
	near(t, "4 rho", Rho(100, .05), 12.60056, digits7)
	near(t, "4 two-sided", Normal(100, .05)(10, 100), -.6510052, digits7)
	near(t, "4 bound", Normal(100, .05).Bound(100, .05, 1e3), 30.35209, digits7)
	near(t, "4 one-sided", HalfNormal(100, .05)(10, 100), -.06502391, digits7)
	near(t, "4 one-sided bound", HalfNormal(100, .05).Bound(100, .05, 1e3), 27.66071, digits7)
	near(t, "5", BetaBinomial(100, .05, .2, .8)(10, 100), -.6941012, digits7)
	near(t, "5 bound", BetaBinomial(100, .05, .2, .8).Bound(100, .05, 400), 31.4308, digits7)
	near(t, "6", Stitched(100, .05, 10, 3), 64.48755, digits7)
	near(t, "6 negative", Stitched(100, .05, 10, -1), 28.99389, digits7)
	near(t, "7", Band(1000, .05, 100), .08204769, 2e-6) // the published one minimises less exactly
	for alpha, c := range map[float64]float64{.05: 8.123, .025: 8.623, .01: 9.284, .005: 9.783} {
		near(t, "C", BandConstant(alpha), c, 1e-4)
	}
	for p, want := range map[float64]float64{.5: 68.62803, .9: 43.72119, .1: 59.96521} {
		near(t, "8", DoubleStitched(p, 1000, .05, 100), want, digits7)
	}
	low, high := Bernoulli(700, 1000, .05, 100)
	near(t, "10 low", low, .651629, 2e-6) // cut off behind the sixth digit, as the others
	near(t, "10 high", high, .745949, 2e-6)
	low, high = Bernoulli(5, 50, .05, 50)
	near(t, "10 low", low, .013021, 6e-5)
	near(t, "10 high", high, .269264, 3e-6)
}

func to(n int, offset float64) (all []float64) {
	for i := range n {
		all = append(all, float64(i+1)+offset)
	}
	return all
}

func TestQuantilesOracle(t *testing.T) {
	t.Parallel()
	a := to(1000, 0)
	for _, tc := range []struct{ p, offset, want float64 }{{.5, 70, .814704}, {.5, 85, .0838055}, {.5, 100, .0054947}, {.9, 55, .0340463}} {
		near(t, "9", Quantiles(a, to(1000, tc.offset), tc.p, 100), tc.want, 1e-5)
	}
}

func TestRankTests(t *testing.T) {
	t.Parallel()
	low, hl, high := Shift([]float64{10, 20, 30, 40}, []float64{1, 2, 3, 4}, .98)
	if low != 6 || hl != 22.5 || high != 39 {
		t.Errorf("14: %v, %v, %v", low, hl, high)
	}
	var a, b []float64
	for i := range 500 {
		a = append(a, float64(2*i))
	}
	for i := range 600 {
		b = append(b, float64(2*i-41))
	}
	u, p := MannWhitney(a, b)
	if u != 135250 {
		t.Errorf("15: U is %v", u)
	}
	near(t, "15", p, .0049335360814172224, 1e-10)
}

func TestChiSquareOracles(t *testing.T) {
	t.Parallel()
	near(t, "16", ChiSquare(44_000, 45_000, .5), .0008, .01)
	near(t, "16", ChiSquare(600, 400, .5), 2.54e-10, .002)
}

// Armitage, McPherson and Rowe 1969: how often a test at 5 % rejects what is true, when it is looked at several times.
func TestRepeatedLooks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(17, 17))
	want := map[int]float64{2: .083, 3: .107, 4: .126, 5: .142, 10: .193, 20: .248, 50: .320, 100: .374}
	const runs = 20_000
	rejected := map[int]int{}
	for range runs {
		sum, at := 0.0, 0
		for i := 1; i <= 100 && at == 0; i++ {
			if sum += r.NormFloat64(); math.Abs(sum)/math.Sqrt(float64(i)) > 1.959964 {
				at = i
			}
		}
		for looks := range want {
			if at > 0 && at <= looks {
				rejected[looks]++
			}
		}
	}
	for looks, p := range want {
		if got := float64(rejected[looks]) / runs; math.Abs(got-p) > 4*math.Sqrt(p*(1-p)/runs) {
			t.Errorf("17: %d looks reject %v, and not %v", looks, got, p)
		}
	}
}

// The data are those of Kayenta's StatisticSuite.
func TestSuperiority(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, within         float64
		experiment, baseline []float64
	}{
		{.771, .001, []float64{
			29.17644856, 25.16947646, 25.88467948, 29.4900454, 27.05622757, 26.13307864, 27.2711558, 26.69139944, 29.05412377, 26.39818697,
			26.68312641, 24.99600187, 27.99524816, 22.57278291, 23.72798196, 25.82821505, 28.26624521, 28.02370228, 24.1792213, 26.02914828,
			25.90970275, 31.18337461, 27.44254942, 29.93347686, 26.70848069, 28.12191913, 27.39257837, 30.17636627, 29.60240485, 30.10635388,
		}, []float64{
			24.69397578, 25.37120574, 25.86186148, 26.93804252, 22.72232309, 24.15894084, 24.80842752, 26.07830794, 27.35323988, 23.25110886,
			24.65909111, 23.88299016, 21.34817847, 26.33198082, 23.39498829, 26.6734461, 25.33769589, 23.92348759, 25.29740715, 24.21381887,
			28.1697053, 22.2271772, 27.16612837, 25.16639243, 26.85955896, 27.13421926, 25.43350074, 26.32130314, 23.8854011, 27.86180318,
		}},
		{.12, 1e-12, []float64{
			22.58442682, 18.83161858, 22.34282944, 18.52177725, 19.41399147, 21.77120485, 24.33796385, 22.16390531, 23.781802, 21.38514296,
			22.2205035, 22.06152361, 21.30313392, 21.59652134, 22.38394223, 24.68882792, 20.58916439, 21.03137302, 22.26213957, 23.76485986,
			20.56271226, 24.56567102, 19.86055958, 22.18967677, 20.31475409, 19.2634656, 24.60283585, 20.41729998, 20.62069798, 22.53448767,
		}, []float64{
			23.15322873, 22.09179077, 26.56410603, 23.0971542, 24.26372276, 25.6461273, 29.42730472, 22.08630097, 29.15257054, 25.8096766,
			24.62191338, 23.67398895, 23.63946085, 26.44684325, 25.76230914, 25.41279862, 22.64005862, 24.58898152, 25.01968457, 25.03695883,
			23.79864705, 26.60180151, 25.99405034, 22.46726084, 28.31843786, 24.30152484, 22.83713467, 21.92380184, 23.44735223, 29.15676219,
		}},
		{.5, 0, to(5, 0), to(5, 0)},
		{0, 0, to(10, 0), to(10, 20)},
	} {
		if got := Superiority(tc.experiment, tc.baseline); math.Abs(got-tc.want) > tc.within {
			t.Errorf("18: %v, and not %v", got, tc.want)
		}
	}
}
