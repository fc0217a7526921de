package draw

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"semper"
	"semper/api"
	"semper/internal/stepwords"
	"semper/verify"
)

// Judgement prints what the judge knows of a rollout: the sentence, the steps, the curves, and each metric.
func Judgement(w io.Writer, p Paint, j api.Judgement) {
	fmt.Fprintf(w, "%s  %s → %s  %s", p.Bold(j.Rollout), OneLine(string(j.From)), OneLine(string(j.To)), p.Dim(OneLine(j.App)+"/"+OneLine(j.Environment)))
	if j.State != "" {
		fmt.Fprintf(w, "  %s", j.State)
	}
	fmt.Fprintf(w, "\n%s  %s\n\n", verdictWord(p, j.Verdict), p.Bold(OneLine(j.Verdict.Why)))
	steps(w, p, j)
	curves(w, p, j)
	g := Grid{{p.Dim("METRIC"), p.Dim("CANDIDATE"), p.Dim("BASELINE"), p.Dim("RATIO"), p.Dim("ALLOWED"), p.Dim("EVIDENCE")}}
	for i := range j.Findings {
		g.Row(findingRow(p, &j.Findings[i], j.Verdict.Limit)...)
	}
	if len(j.Findings) > 0 {
		g.Write(w)
	}
	if j.Shadow != nil {
		shadow(w, p, j.Shadow)
	}
	for i, t := range j.Thresholds {
		if i == 0 {
			fmt.Fprintf(w, "\n%s", p.Dim("slow is, on the baseline and on the candidate:"))
		}
		fmt.Fprintf(w, " %s %s/%s", t.Name, brief(t.At), brief(t.Limit))
	}
	fmt.Fprintf(w, "\n\nevidence %s of %.4g: there the candidate is worse, and chance says so wrongly in at most one of %.4g rollouts\n",
		strings.TrimSpace(value(j.Verdict.E)), j.Verdict.Limit, j.Verdict.Limit)
}

func brief(d semper.Duration) string {
	return strconv.FormatFloat(d.D().Seconds()*1e3, 'g', 3, 64) + "ms"
}

func verdictWord(p Paint, v semper.Verdict) string {
	return outcome(p, verify.Verdict{Outcome: verify.Outcome(v.Outcome), Cause: verify.Cause(v.Cause)})
}

// steps are a line for each.
func steps(w io.Writer, p Paint, j api.Judgement) {
	g := Grid{{p.Dim("STEP"), p.Dim("FROM"), p.Dim("TOOK"), p.Dim("CANDIDATE"), p.Dim("BASELINE"), p.Dim("VERDICT")}}
	for _, s := range j.Steps {
		end := s.To
		if end.IsZero() {
			end = j.Looked
		}
		g.Row(stepwords.Name(s.Kind, s.Share), Clock(s.From), Span(end.Sub(s.From)), total(s, s.Candidate), total(s, s.Baseline), verdictWord(p, s.Verdict))
	}
	if len(j.Steps) > 0 {
		g.Write(w)
		fmt.Fprintln(w)
	}
}

// Percent is a rate for a person, with three places.
func Percent(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + " %" }

func total(s api.JudgedStep, t api.ArmTotal) string {
	if s.Kind == semper.StepShadow {
		return fmt.Sprintf("%d copies", t.Requests)
	}
	out := fmt.Sprintf("%d of %d failed", t.Failed, t.Requests)
	if t.Users > 0 {
		out += fmt.Sprintf(", %d of %d users", t.Hurt, t.Users)
	}
	return out
}

// A curve is one line of a plot: a value for each point, or nothing (NaN).
type curve struct {
	name  string
	at    func(p *api.JudgedPoint) float64
	words func(x float64) string
}

func rate(a api.ArmReading) float64 {
	if a.Requests == 0 {
		return math.NaN()
	}
	return float64(a.Failed) / float64(a.Requests)
}

func seconds(d semper.Duration, a api.ArmReading) float64 {
	if a.Requests == 0 || d == 0 {
		return math.NaN()
	}
	return d.D().Seconds()
}

var judgedCurves = [][]curve{
	{{"share", func(p *api.JudgedPoint) float64 { return p.Share }, Percent}},
	{
		{"errors  candidate", func(p *api.JudgedPoint) float64 { return rate(p.Candidate) }, Percent},
		{"        baseline", func(p *api.JudgedPoint) float64 { return rate(p.Baseline) }, Percent},
		{"        at least", func(p *api.JudgedPoint) float64 { return p.Low }, Percent},
		{"        allowed", func(p *api.JudgedPoint) float64 { return p.Allowed }, Percent},
	},
	{
		{"p99     candidate", func(p *api.JudgedPoint) float64 { return seconds(p.Candidate.P99, p.Candidate) }, millis},
		{"        baseline", func(p *api.JudgedPoint) float64 { return seconds(p.Baseline.P99, p.Baseline) }, millis},
	},
	{{"evidence", func(p *api.JudgedPoint) float64 { return math.Max(0, math.Log(p.E)) }, func(x float64) string { return strings.TrimSpace(value(math.Exp(x))) }}},
}

func millis(x float64) string { return strconv.FormatFloat(x*1e3, 'g', 3, 64) + " ms" }

// curves draws each group of curves on one scale, in blocks of an eighth of a line's height.
func curves(w io.Writer, p Paint, j api.Judgement) {
	if len(j.Series) < 2 {
		return
	}
	for _, group := range judgedCurves {
		most := 0.0
		for _, c := range group {
			for i := range j.Series {
				if x := c.at(&j.Series[i]); x > most {
					most = x
				}
			}
		}
		if group[0].name == "evidence" {
			most = math.Max(most, math.Log(j.Verdict.Limit))
		}
		if most == 0 {
			continue
		}
		g := Grid{}
		for _, c := range group {
			last := c.at(&j.Series[len(j.Series)-1])
			end := p.Dim("–")
			if !math.IsNaN(last) {
				end = c.words(last)
			}
			g.Row(p.Dim(fmt.Sprintf("%-18s", c.name)), spark(j.Series, c.at, most), end)
		}
		g.Write(w)
	}
	first, last := j.Series[0].From, j.Series[len(j.Series)-1].To
	fmt.Fprintf(w, "%s\n\n", p.Dim(fmt.Sprintf("%s to %s; each group of lines has one scale, from 0 to its largest; the last value is beside", Clock(first), Clock(last))))
}

// sparkWidth is how many characters a curve has.
const sparkWidth = 60

var eighths = []rune(" ▁▂▃▄▅▆▇█")

// spark is a curve as a row of blocks. Of several points in one the largest is drawn.
func spark(all []api.JudgedPoint, at func(*api.JudgedPoint) float64, most float64) string {
	width := min(sparkWidth, len(all))
	row := make([]rune, width)
	for i := range row {
		x := math.NaN()
		for k := i * len(all) / width; k < (i+1)*len(all)/width; k++ {
			if y := at(&all[k]); math.IsNaN(x) || y > x {
				x = y
			}
		}
		switch {
		case math.IsNaN(x):
			row[i] = '·'
		case x <= 0:
			row[i] = eighths[0]
		default:
			row[i] = eighths[1+int(math.Min(x/most, 1)*float64(len(eighths)-2))]
		}
	}
	return string(row)
}

// Met is what clients met of a release on trial, as the end of a sentence: copies are not theirs.
func Met(j api.Judgement) string {
	var all api.ArmTotal
	for _, s := range j.Steps {
		if s.Kind != semper.StepShadow {
			all.Requests += s.Candidate.Requests
			all.Failed += s.Candidate.Failed
			all.Users += s.Candidate.Users
			all.Hurt += s.Candidate.Hurt
		}
	}
	switch {
	case all.Requests == 0:
		return ", nothing was lost"
	case all.Failed == 0:
		return fmt.Sprintf("; none of the %s that %s had on trial failed", many(all.Requests, "request"), j.To)
	case all.Users == 0:
		return fmt.Sprintf("; of the %s that %s had on trial %d failed", many(all.Requests, "request"), j.To, all.Failed)
	}
	return fmt.Sprintf("; of the %s that %s had on trial %d failed, for %d of %s", many(all.Requests, "request"), j.To, all.Failed, all.Hurt, many(all.Users, "user"))
}

func many(n int64, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}
