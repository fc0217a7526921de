package draw

import (
	"fmt"
	"io"
	"math"
	"strings"

	"semper/verify"
	"semper/verify/diff"
)

// VerdictLine prints one of a row of verdicts, with its sentence if that is news.
func VerdictLine(w io.Writer, p Paint, v verify.Verdict, news bool) {
	fmt.Fprintf(w, "%s  %s  %s  %s\n", p.Dim(v.At.UTC().Format("2006-01-02 15:04:05")), evidence(p, v.E, v.Threshold), value(v.E), outcome(p, v))
	if news {
		fmt.Fprintf(w, "%s%s\n", strings.Repeat(" ", len("2006-01-02 15:04:05  ")), p.Dim(OneLine(v.Why)))
	}
}

// Verdict prints what is known by each metric, and the sentence that says why.
func Verdict(w io.Writer, p Paint, v verify.Verdict) {
	fmt.Fprintf(w, "\n%s  %s\n\n", outcome(p, v), p.Bold(OneLine(v.Why)))
	g := Grid{{p.Dim("METRIC"), p.Dim("CANDIDATE"), p.Dim("BASELINE"), p.Dim("RATIO"), p.Dim("ALLOWED"), p.Dim("EVIDENCE")}}
	for i := range v.Findings {
		g.Row(findingRow(p, &v.Findings[i], v.Threshold)...)
	}
	g.Write(w)
	fmt.Fprintf(w, "\nall together %s of %.4g: there the candidate is worse, and chance says so wrongly in at most one of %.4g rollouts\n", strings.TrimSpace(value(v.E)), v.Threshold, v.Threshold)
}

// findingRow is what is known by one metric, where threshold is the e-value to be reached.
func findingRow(p Paint, f *verify.Finding, threshold float64) []string {
	name := OneLine(f.Metric)
	if f.Threshold != "" {
		name += " > " + OneLine(f.Threshold)
	}
	if f.Named {
		name = p.Bad(name)
	}
	c, b := f.Candidate.String(), f.Baseline.String()
	if f.Values != nil {
		c, b = level(f.Values[0]), level(f.Values[1])
	}
	if f.ByPlace {
		c, b = fmt.Sprintf("%d compared", f.Candidate.Requests), fmt.Sprintf("%d copies", f.Baseline.Requests)
	}
	if !f.Data {
		c, b = p.Dim("no data"), p.Dim("no data")
	}
	return []string{name, c, b, ratio(*f), fmt.Sprintf("%.3g", f.Allowed), evidence(p, f.E, threshold) + "  " + value(f.E)}
}

func outcome(p Paint, v verify.Verdict) string {
	switch v.Outcome {
	case verify.BetterOrEqual:
		return p.Good(string(v.Outcome))
	case verify.Worse:
		return p.Bad(string(v.Outcome))
	}
	return p.Warn(fmt.Sprintf("%s (%s)", v.Outcome, v.Cause))
}

func level(l verify.Level) string { return fmt.Sprintf("%.4g of %d", l.Mean, l.N) }

func ratio(f verify.Finding) string {
	r := f.Ratio
	if r == nil || f.ByPlace {
		return "–"
	}
	at := func(x *float64, unknown string) string {
		if x == nil {
			return unknown
		}
		if f.Kind == verify.Mean {
			return fmt.Sprintf("%+.3g %%", 100**x)
		}
		return fmt.Sprintf("%.3g", *x)
	}
	if r.Low == nil && r.High == nil {
		return at(r.Best, "–")
	}
	return at(r.Best, "–") + " in " + at(r.Low, "0") + "…" + at(r.High, "∞")
}

func value(e float64) string {
	if e >= 1e6 {
		return fmt.Sprintf("%-8.1e", e)
	}
	return fmt.Sprintf("%-8.3g", e)
}

// evidence is how far e has come from 1 to the threshold, in orders of magnitude.
func evidence(p Paint, e, threshold float64) string {
	const width = 20
	n := 0
	if e > 1 && threshold > 1 {
		n = int(min(math.Log(e)/math.Log(threshold), 1) * width)
	}
	bar := strings.Repeat("█", n)
	if n == width {
		bar = p.Bad(bar)
	}
	return "▕" + bar + strings.Repeat("·", width-n) + "▏"
}

// Differences is what a comparison of two sets of responses has found.
type Differences struct {
	Pairs  int64         `json:"pairs"`
	Places []*diff.Place `json:"places"`
	Stale  []diff.Rule   `json:"stale_rules,omitempty"`
}

// Diff prints where responses differ, how often and how.
func Diff(w io.Writer, p Paint, d Differences) {
	if len(d.Places) == 0 {
		fmt.Fprintf(w, "%s: %d pairs of responses, and none differs\n", p.Good("equal"), d.Pairs)
	} else {
		fmt.Fprintf(w, "%s: of %d pairs of responses, at %d places\n\n", p.Bad("different"), d.Pairs, len(d.Places))
		g := Grid{{p.Dim("PAIRS"), p.Dim("ENDPOINT"), p.Dim("PLACE"), p.Dim("KIND"), p.Dim("LIKE")}}
		for _, place := range d.Places {
			like := ""
			if len(place.Examples) > 0 {
				e := place.Examples[0]
				like = strings.TrimPrefix(e.String(), e.Path.String()+" "+string(e.Kind)+": ")
			}
			g.Row(fmt.Sprintf("%d (%.3g %%)", place.Seen, 100*float64(place.Seen)/float64(d.Pairs)), OneLine(place.Endpoint), OneLine(place.Path.String()), string(place.Kind), OneLine(like))
		}
		g.Write(w)
	}
	for _, r := range d.Stale {
		fmt.Fprintf(w, "%s the rule for %s never matched: what it declares did not come\n", p.Warn("stale:"), OneLine(r.Path))
	}
}
