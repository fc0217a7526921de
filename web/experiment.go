package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"semper"
	"semper/api"
	"semper/experiment"
	"semper/experiment/design"
)

// experiment serves what is known of one experiment.
func (u *ui) experiment(w http.ResponseWriter, r *http.Request) {
	app, env, name := r.PathValue("app"), r.PathValue("env"), r.PathValue("name")
	all, err := u.s.Experiments(r.Context(), app, env)
	if err != nil {
		u.fail(w, err)
		return
	}
	i := slices.IndexFunc(all, func(x api.ExperimentInfo) bool { return x.Plan.Name == name })
	if i < 0 {
		u.fail(w, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no experiment %q", where(app, env), name), Hint: "the app's page lists its experiments"})
		return
	}
	u.write(w, http.StatusOK, page{Title: name + " of " + where(app, env), Body: "experiment", Look: &look{App: app, Env: env}, Data: all[i]})
}

// experimentMark shows where an experiment is.
func experimentMark(x api.ExperimentInfo) mark {
	switch {
	case x.State == design.Draft:
		return mark{"ring", "off", "draft"}
	case x.State == design.Starting:
		return mark{"half", "busy", "starting"}
	case x.State == design.Stopped:
		return mark{"ring", "off", "stopped"}
	case x.State == design.Promoted:
		return mark{"check", "ok", "promoted: " + x.Winner}
	case x.State == design.Decided:
		return mark{"check", "ok", "decided: " + x.Winner}
	case x.Report != nil && x.Report.Outcome == experiment.Mismatch:
		return mark{"tri", "bad", "ratio mismatch"}
	}
	return mark{"half", "busy", "running"}
}

// experimentSays is what follows from an experiment, in a sentence.
func experimentSays(x api.ExperimentInfo) string {
	switch {
	case x.Ended != "":
		return "It has ended, and every user has the current release: " + x.Ended + "."
	case x.State == design.Starting:
		return "Instances of its releases are started. Nobody has a variant before all of them are ready."
	case x.Why != "":
		return x.Why
	case x.Report != nil:
		return x.Report.Why
	case x.State == design.Draft:
		return "nobody has a variant yet"
	}
	return "nothing is known of it yet"
}

// usersOf is how many users an experiment has seen.
func usersOf(x api.ExperimentInfo) (n int64) {
	if x.Report != nil {
		for _, v := range x.Report.Variants {
			n += v.Users
		}
	}
	return n
}

// variantShare is a variant's users beside what the declared split gives it.
type variantShare struct {
	experiment.VariantReport
	Part string
	Bar  segment // of all users
	Want float64 // where the bar would end by the split; the same scale
}

// releaseOf is the release that serves variant i; empty where releases are not what is compared.
func releaseOf(x api.ExperimentInfo, i int) semper.ReleaseName {
	if x.Against == "" || i >= len(x.Plan.Variants) {
		return ""
	}
	return cmp.Or(x.Plan.Variants[i].Release, x.Against)
}

// sharesOf has a bar for each variant, on one scale that holds them all.
func sharesOf(r *experiment.Report) []variantShare {
	all, sum, most := int64(0), 0.0, 0.0
	for _, v := range r.Variants {
		all += v.Users
		sum += v.Share
	}
	out := make([]variantShare, len(r.Variants))
	for i, v := range r.Variants {
		out[i] = variantShare{VariantReport: v, Part: "–", Want: v.Share / sum}
		if all > 0 {
			got := float64(v.Users) / float64(all)
			out[i].Part, out[i].Bar.W = fmt.Sprintf("%.1f %%", 100*got), got
		}
		most = max(most, out[i].Bar.W, out[i].Want)
	}
	for i := range out {
		out[i].Bar.W, out[i].Want = coord(1000*out[i].Bar.W/most), coord(min(1000*out[i].Want/most, 997))
	}
	return out
}

// mismatchSays tells whether users fall on the variants as declared.
func mismatchSays(r *experiment.Report) string {
	switch {
	case r.Mismatch >= experiment.Mismatched:
		return fmt.Sprintf("Users do not fall on the variants as declared: the evidence is %s, and %d is enough. Nothing can be concluded.", evidenceOf(r.Mismatch), experiment.Mismatched)
	case r.Mismatch == 0:
		return "Whether users fall on the variants as declared is not known yet."
	}
	return fmt.Sprintf("Users fall on the variants as declared, as far as can be told: the evidence against it is %s, and %d would be enough.", evidenceOf(r.Mismatch), experiment.Mismatched)
}

// An effect is a finding with its interval on a scale that it shares with all of its table.
type effect struct {
	experiment.Finding
	Known                 bool // that it has an interval
	Low, Best, High, Wide float64
	Words                 string
	Tone                  string
}

// effectTable is findings on one scale.
type effectTable struct {
	Rows  []effect
	Scale string // of the intervals, in words; empty where there is none
}

const intervalWide = 1000.0

// effects put the intervals of findings on one scale with 0 in its middle.
func effects(all []experiment.Finding) (e effectTable) {
	wide := experiment.Reach(all)
	if wide > 0 {
		e.Scale = fmt.Sprintf("-%.3g %% to +%.3g %%", 100*wide, 100*wide)
	}
	e.Rows = make([]effect, len(all))
	for i := range all {
		f := &e.Rows[i]
		f.Finding, f.Words = all[i], "no data"
		switch {
		case f.Worse():
			f.Tone = "bad"
		case f.Named:
			f.Tone = "ok"
		case f.Control.N > 0 && f.Treated.N > 0 && f.Control.Mean == f.Treated.Mean && f.Control.Mean != 0:
			f.Words = "none"
		}
		l := f.Lift
		if l == nil || wide == 0 {
			continue
		}
		at := func(x float64) float64 { return coord(intervalWide * (min(max(x/wide, -1), 1) + 1) / 2) }
		f.Known, f.Low, f.Best, f.High = true, at(*l.Low), at(*l.Best), at(*l.High)
		f.Wide = max(f.High-f.Low, 2)
		f.Words = fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100**l.Best, 100**l.Low, 100**l.High)
	}
	return e
}

// experimentCommands are what one may do next.
func experimentCommands(x api.ExperimentInfo) []string {
	of := " -a " + x.App
	if x.Environment != semper.DefaultEnvironment {
		of += " -e " + x.Environment
	}
	name := x.Plan.Name
	status := "semper experiment status " + name + of
	switch x.State {
	case design.Draft, design.Stopped:
		return []string{status}
	case design.Starting:
		return []string{status, "semper experiment stop " + name + of}
	case design.Promoted:
		return []string{status, "semper experiment stop " + name + of}
	}
	winner := x.Winner
	if winner == "" {
		names := make([]string, len(x.Plan.Variants))
		for i, v := range x.Plan.Variants {
			names[i] = v.Name
		}
		winner = strings.Join(names, "|")
	}
	return []string{status, "semper experiment promote " + name + " " + winner + of, "semper experiment stop " + name + of}
}

// confidence is 1 - alpha in percent.
func confidence(alpha float64) string { return shareWords(1 - alpha) }

// shareWords is a part in percent, as precisely as it was declared.
func shareWords(x float64) string { return fmt.Sprintf("%.4g %%", 100*x) }
