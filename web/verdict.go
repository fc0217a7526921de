package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"semper"
	"semper/api"
	"semper/internal/stepwords"
)

// verdict serves what the judge knows of a rollout.
func (u *ui) verdict(w http.ResponseWriter, r *http.Request) {
	app, env, id := r.PathValue("app"), r.PathValue("env"), r.PathValue("rollout")
	j, err := u.s.Judgement(r.Context(), app, env, id)
	if err != nil {
		u.fail(w, err)
		return
	}
	u.write(w, http.StatusOK, page{Title: fmt.Sprintf("%s of %s", j.Rollout, where(app, env)), Body: "verdict", Look: &look{App: app, Env: env}, Data: judged{j, charts(&j)}})
}

// judged is a judgement with its pictures.
type judged struct {
	api.Judgement
	Charts []chart
}

// A chart is some lines on one scale from 0 to Top. Its coordinates are those of an SVG of chartWidth by chartHeight.
type chart struct {
	Title string
	Top   string // in words
	Band  string // points of a polygon, or nothing
	Lines []line
	Marks []float64 // where a step begins

	traces []trace
}

// A line is one curve of a chart. A stretch without a value is a gap in it.
type line struct {
	Class, Name, Last string
	Parts             []string // points of polylines
}

const (
	chartWidth  = 1000.0
	chartHeight = 160.0
)

// A trace is a curve before it is drawn.
type trace struct {
	class, name string
	at          func(p *api.JudgedPoint) float64 // NaN: nothing is known
	holds       bool                             // what is read now and then is so until it is read again
}

func charts(j *api.Judgement) []chart {
	if len(j.Series) < 2 {
		return nil
	}
	rate := func(a api.ArmReading) float64 { return float64(a.Failed) / float64(a.Requests) } // NaN without requests
	took := func(d semper.Duration) float64 {
		if d == 0 {
			return math.NaN()
		}
		return d.D().Seconds()
	}
	memory := func(b float64) float64 {
		if b == 0 {
			return math.NaN()
		}
		return b
	}
	percent := func(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + " %" }
	limit := math.Log10(max(j.Verdict.Limit, 1))
	all := []chart{
		draw(j, "Share of the requests", percent, 0, trace{class: "candidate", name: "candidate", at: func(p *api.JudgedPoint) float64 { return p.Share }}),
		draw(j, "Errors", percent, 0,
			trace{class: "candidate", name: "candidate", at: func(p *api.JudgedPoint) float64 { return rate(p.Candidate) }},
			trace{class: "current", name: "baseline", at: func(p *api.JudgedPoint) float64 { return rate(p.Baseline) }},
			trace{class: "limit", name: "allowed", at: func(p *api.JudgedPoint) float64 { return p.Allowed }}),
		draw(j, "Latency, p99", millis, 0,
			trace{class: "candidate", name: "candidate", at: func(p *api.JudgedPoint) float64 { return took(p.Candidate.P99) }},
			trace{class: "current", name: "baseline", at: func(p *api.JudgedPoint) float64 { return took(p.Baseline.P99) }}),
		draw(j, "Latency, p50", millis, 0,
			trace{class: "candidate", name: "candidate", at: func(p *api.JudgedPoint) float64 { return took(p.Candidate.P50) }},
			trace{class: "current", name: "baseline", at: func(p *api.JudgedPoint) float64 { return took(p.Baseline.P50) }}),
		draw(j, "Memory per instance", func(x float64) string { return bytesOf(int64(x)) }, 0,
			trace{class: "candidate", name: "candidate", at: func(p *api.JudgedPoint) float64 { return memory(p.Candidate.Memory) }, holds: true},
			trace{class: "current", name: "baseline", at: func(p *api.JudgedPoint) float64 { return memory(p.Baseline.Memory) }, holds: true}),
		draw(j, "Evidence, by its logarithm", func(x float64) string { return strconv.FormatFloat(math.Pow(10, x), 'g', 3, 64) }, limit,
			trace{class: "candidate", name: "e-value", at: func(p *api.JudgedPoint) float64 { return max(0, math.Log10(p.E)) }},
			trace{class: "limit", name: "there it is worse", at: func(*api.JudgedPoint) float64 { return limit }}),
	}
	all[1].Band = band(j, top(j, 0, all[1].traces))
	var out []chart
	for _, c := range all {
		if len(c.Lines) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// top is the largest value of all traces, and least where they have none above.
func top(j *api.Judgement, least float64, traces []trace) float64 {
	for i := range j.Series {
		for _, t := range traces {
			if x := t.at(&j.Series[i]); x > least {
				least = x
			}
		}
	}
	return least
}

// draw puts traces on one scale, which reaches least at the least.
func draw(j *api.Judgement, title string, words func(float64) string, least float64, traces ...trace) chart {
	most := top(j, least, traces)
	c := chart{Title: title, Top: words(most), traces: traces}
	if most == 0 {
		if title != "Errors" {
			return c
		}
		most, c.Top = 1, "none"
	}
	for _, t := range traces {
		l := line{Class: t.class, Name: t.name}
		var part []string
		flush := func() {
			if len(part) > 0 {
				l.Parts = append(l.Parts, strings.Join(part, " "))
			}
			part = nil
		}
		held := math.NaN()
		for i := range j.Series {
			x := t.at(&j.Series[i])
			if t.holds && math.IsNaN(x) {
				x = held
			}
			if held = x; math.IsNaN(x) {
				flush()
				continue
			}
			from, to, y := across(j, i), across(j, i+1), high(x, most)
			part = append(part, point(from, y), point(to, y))
			l.Last = words(x)
		}
		flush()
		if l.Parts != nil {
			c.Lines = append(c.Lines, l)
		}
	}
	for i := 1; i < len(j.Series); i++ {
		if j.Series[i].Step != j.Series[i-1].Step {
			c.Marks = append(c.Marks, across(j, i))
		}
	}
	return c
}

// band is between which the candidate's rate of errors is, by what had been counted until then.
func band(j *api.Judgement, most float64) string {
	if most == 0 {
		most = 1
	}
	n := len(j.Series)
	points := make([]string, 0, 4*n)
	for i := range n {
		y := high(min(j.Series[i].High, most), most)
		points = append(points, point(across(j, i), y), point(across(j, i+1), y))
	}
	for i := n - 1; i >= 0; i-- {
		y := high(min(j.Series[i].Low, most), most)
		points = append(points, point(across(j, i+1), y), point(across(j, i), y))
	}
	return strings.Join(points, " ")
}

// across is where point i of the series begins, in time.
func across(j *api.Judgement, i int) float64 {
	first, last := j.Series[0].From, j.Series[len(j.Series)-1].To
	at := last
	if i < len(j.Series) {
		at = j.Series[i].From
	}
	if span := last.Sub(first); span > 0 {
		return chartWidth * float64(at.Sub(first)) / float64(span)
	}
	return chartWidth * float64(i) / float64(len(j.Series))
}

func high(x, most float64) float64 { return chartHeight - 2 - (chartHeight-4)*x/most }

func point(x, y float64) string {
	return strconv.FormatFloat(x, 'f', 1, 64) + "," + strconv.FormatFloat(y, 'f', 1, 64)
}

// stepName is a judged step in words.
func stepName(s api.JudgedStep) string { return stepwords.Name(s.Kind, s.Share) }

// verdictMark shows an outcome.
func verdictMark(v semper.Verdict) mark {
	switch v.Outcome {
	case semper.BetterOrEqual:
		return mark{"check", "ok", string(v.Outcome)}
	case semper.Worse:
		return mark{"cross", "bad", string(v.Outcome)}
	}
	if v.Cause != "" {
		return mark{"ring", "warn", string(v.Outcome) + ": " + v.Cause}
	}
	return mark{"ring", "off", "not judged yet"}
}

// placeMark shows what is known of a place at which answers to copies differ.
func placeMark(p api.JudgedPlace) mark {
	m := mark{"ring", "off", string(p.Status)}
	switch m.Word {
	case "different":
		m.Shape, m.Tone = "cross", "bad"
	case "new":
		m.Shape, m.Tone = "tri", "warn"
	}
	return m
}

// evidenceOf is an e-value for a person.
func evidenceOf(e float64) string { return strconv.FormatFloat(e, 'g', 3, 64) }
