package draw

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"semper/api"
	"semper/experiment"
	"semper/experiment/design"
)

// Experiments are a line for each.
func Experiments(list []api.ExperimentInfo, p Paint) []string {
	g := Grid{{p.Dim("EXPERIMENT"), p.Dim("STATE"), p.Dim("STARTED"), p.Dim("USERS"), p.Dim("SAYS")}}
	for i := range list {
		x := &list[i]
		users, says := "–", x.Why
		if x.Report != nil {
			n := int64(0)
			for _, v := range x.Report.Variants {
				n += v.Users
			}
			users = fmt.Sprint(n)
			if says == "" {
				says = x.Report.Why
			}
		}
		switch {
		case x.Ended != "":
			says = "ended: " + x.Ended
		case x.State == design.Starting:
			says = unreported(*x)
		}
		started := "–"
		if !x.StartedAt.IsZero() {
			started = Clock(x.StartedAt)
		}
		g.Row(OneLine(x.Plan.Name), stateWord(p, x.State), started, users, OneLine(says))
	}
	return g.lines()
}

func stateWord(p Paint, s design.State) string {
	switch s {
	case design.Decided, design.Promoted:
		return p.Good(string(s))
	case design.Stopped, design.Draft:
		return p.Dim(string(s))
	}
	return string(s)
}

// Experiment is all that is known of one, with intervals drawn.
func Experiment(x api.ExperimentInfo, p Paint, now time.Time) []string {
	head := fmt.Sprintf("%s  %s  %s", p.Bold(OneLine(x.Plan.Name)), stateWord(p, x.State), p.Dim(OneLine(x.App)+"/"+OneLine(x.Environment)))
	if !x.StartedAt.IsZero() {
		end := now
		if !x.EndedAt.IsZero() {
			end = x.EndedAt
		}
		head += "  " + Span(end.Sub(x.StartedAt))
	}
	if x.Winner != "" {
		head += "  " + p.Good(OneLine(x.Winner))
	}
	out := []string{head}
	if x.Why != "" {
		out = append(out, p.Bold("decided: "+OneLine(x.Why)))
	}
	if x.Ended != "" {
		out = append(out, p.Bad("ended: "+OneLine(x.Ended)))
	}
	if x.Rollout != "" {
		out = append(out, "promoted by rollout "+OneLine(x.Rollout))
	}
	r := x.Report
	if r == nil {
		return append(out, p.Dim(unreported(x)))
	}
	word := string(r.Outcome)
	switch {
	case r.Outcome == experiment.Mismatch:
		word = p.Bad(word)
	case r.Outcome.Decided():
		word = p.Good(word)
	default:
		word = p.Warn(word)
	}
	out = append(out, word+"  "+OneLine(r.Why), "")
	g := Grid{{p.Dim("VARIANT"), p.Dim("SHARE"), p.Dim("USERS")}}
	if x.Against != "" {
		g[0] = append(g[0], p.Dim("RELEASE"))
	}
	for i, v := range r.Variants {
		row := []string{OneLine(v.Name), Percent(v.Share), fmt.Sprint(v.Users)}
		if x.Against != "" && i < len(x.Plan.Variants) {
			row = append(row, OneLine(string(cmp.Or(x.Plan.Variants[i].Release, x.Against))))
		}
		g.Row(row...)
	}
	out = append(append(out, g.lines()...), "")
	out = append(out, findings(p, r.Findings)...)
	for _, s := range r.Segments {
		out = append(out, "", p.Bold(OneLine(s.Name)+" "+OneLine(s.Value))+p.Dim("  of users whose values say so; for looking: it decides nothing"))
		out = append(out, findings(p, s.Findings)...)
	}
	out = append(out, "", p.Dim(fmt.Sprintf("intervals hold together and at all times with %g %% confidence", 100*(1-r.Alpha))))
	out = append(out, p.Dim(fmt.Sprintf("evidence that anything differs is %s, and enough from %g on; evidence against the declared split is %s, and enough from %d on", figure(r.E), 1/r.Alpha, figure(r.Mismatch), experiment.Mismatched)))
	if n := len(r.Silent); n > 0 && r.Outcome != experiment.NoData {
		out = append(out, p.Warn("no value of "+OneLine(strings.Join(r.Silent, ", "))+" has arrived: it says nothing, and guards nothing"))
	}
	if r.Waiting > 0 {
		out = append(out, p.Dim(fmt.Sprintf("%s with values and no known exposure: not counted", Plural(r.Waiting, "user"))))
	}
	if r.Full {
		out = append(out, p.Warn("more users came than are followed: who came later is not counted (users:)"))
	}
	return out
}

// unreported says why there is no report.
func unreported(x api.ExperimentInfo) string {
	if x.State == design.Starting {
		names := make([]string, 0, 1)
		for _, r := range x.Plan.Releases() {
			names = append(names, OneLine(string(r)))
		}
		return "instances of " + strings.Join(names, ", ") + " are started; nobody has a variant before all of them are ready"
	}
	return "nothing is known of it yet"
}

func findings(p Paint, all []experiment.Finding) []string {
	wide := experiment.Reach(all)
	g := Grid{{p.Dim("METRIC"), p.Dim("VARIANT"), p.Dim("CONTROL"), p.Dim("TREATED"), p.Dim("LIFT"), p.Dim(scale(wide)), p.Dim("EVIDENCE"), ""}}
	for i := range all {
		f := &all[i]
		lift, bar := "–", ""
		if l := f.Lift; l != nil {
			lift, bar = fmt.Sprintf("%+.1f %%  %+.1f to %+.1f", 100**l.Best, 100**l.Low, 100**l.High), interval(*l.Low, *l.Best, *l.High, wide)
		}
		mark := ""
		switch {
		case f.Worse():
			mark = p.Bad("worse")
		case f.Named:
			mark = p.Good("better")
		}
		name := OneLine(f.Metric)
		if f.Role != design.RoleSecondary {
			name += " " + string(f.Role)
		}
		g.Row(name, OneLine(f.Variant), figure(f.Control.Mean), figure(f.Treated.Mean), lift, bar, figure(f.E), mark)
	}
	return g.lines()
}

func figure(x float64) string { return fmt.Sprintf("%.4g", x) }

// intervalWidth is how many characters an interval has, the middle is no difference.
const intervalWidth = 31

func scale(wide float64) string {
	if wide == 0 {
		return ""
	}
	left := fmt.Sprintf("-%.3g %%", 100*wide)
	right := fmt.Sprintf("+%.3g %%", 100*wide)
	return left + strings.Repeat(" ", max(intervalWidth-len(left)-len(right), 1)) + right
}

// interval draws low to high around 0: "     │  ├──●──┤".
func interval(low, best, high, wide float64) string {
	if wide == 0 || math.IsNaN(wide) || math.IsInf(wide, 0) {
		return ""
	}
	at := func(x float64) int {
		return min(max(int(math.Round((x/wide+1)/2*(intervalWidth-1))), 0), intervalWidth-1)
	}
	line := []rune(strings.Repeat(" ", intervalWidth))
	line[intervalWidth/2] = '│'
	for i := at(low); i <= at(high); i++ {
		line[i] = '─'
	}
	line[at(low)], line[at(high)] = '├', '┤'
	line[at(best)] = '●'
	return string(line)
}

// lines are what Write writes.
func (g Grid) lines() []string {
	var b strings.Builder
	g.Write(&b)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}
