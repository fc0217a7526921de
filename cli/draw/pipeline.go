package draw

import (
	"fmt"
	"io"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/pipeline/course"
)

// Runs draws the runs of pipelines as a table, and which lines are stopped.
func Runs(w io.Writer, p Paint, l []api.PipelineStatus) {
	var runs []api.RunStatus
	for _, l := range l {
		runs = append(runs, l.Runs...)
		if l.Stopped != "" {
			fmt.Fprintf(w, "%s  the line of %s is stopped: %s\n", p.Bad("■"), l.Pipeline.App, OneLine(l.Stopped))
		}
	}
	if len(runs) == 0 {
		fmt.Fprintln(w, "no runs")
		return
	}
	rows := Grid{}
	rows.Row(p.Bold("run"), "app", "release", "state", "at", "waits for", "begun", "by")
	for _, r := range runs {
		why := r.Waiting
		if r.State != course.Running {
			why = r.Reason
		}
		rows.Row(r.ID, r.App, string(r.Release), runWord(p, r.State), OrDash(atStage(r.Run)), OrDash(OneLine(why)), Clock(r.StartedAt), OrDash(Safe(r.By)))
	}
	rows.Write(w)
}

// atStage is the environment that a run is at; none when it is through.
func atStage(r course.Run) string {
	if r.At >= len(r.Stages) {
		return ""
	}
	return r.Stages[r.At].Environment
}

func runWord(p Paint, s course.State) string {
	switch s {
	case course.Passed:
		return p.Good(string(s))
	case course.Failed, course.Rejected:
		return p.Bad(string(s))
	}
	return string(s)
}

// Pipeline draws the pipeline that is in force, what its environments serve, its webhooks, and its newest run.
func Pipeline(w io.Writer, p Paint, l api.PipelineStatus) {
	if l.Stopped != "" {
		fmt.Fprintf(w, "%s  the line is stopped: %s; semper pipeline resume\n", p.Bad("■"), OneLine(l.Stopped))
	}
	rows := Grid{}
	rows.Row(p.Bold("environment"), "serves", "gates before", "gates live", "requires")
	for _, s := range l.Pipeline.Stages {
		var before, live []string
		for _, g := range s.Gates {
			if g.When == semper.GateBefore {
				before = append(before, g.Name)
			} else {
				live = append(live, g.Name)
			}
		}
		rows.Row(s.Environment, OrDash(string(l.Serving[s.Environment])), OrDash(strings.Join(before, ", ")), OrDash(strings.Join(live, ", ")), OrDash(strings.Join(s.Requires, ", ")))
	}
	rows.Write(w)
	for _, h := range l.Webhooks {
		state := p.Good("told everything")
		switch {
		case h.Gone:
			state = p.Bad("wants no more")
		case h.Error != "":
			state = p.Bad(fmt.Sprintf("%d behind, failed %d times: %s", h.Behind, h.Fails, OneLine(h.Error)))
		case h.Behind > 0:
			state = fmt.Sprintf("%d behind", h.Behind)
		}
		if h.Missed > 0 {
			state += fmt.Sprintf(", %d never told", h.Missed)
		}
		fmt.Fprintf(w, "webhook %s  %s\n", Safe(h.URL), state)
	}
	if len(l.Runs) > 0 {
		fmt.Fprintln(w)
		Run(w, p, l.Runs[0])
	}
}

// Run draws a run: its environments, the gates of each, the end of what failed gates printed, and what is waited for.
func Run(w io.Writer, p Paint, r api.RunStatus) {
	fmt.Fprintf(w, "%s  %s of %s  %s  begun %s by %s\n", p.Bold(r.ID), r.Release, r.App, runWord(p, r.State), Clock(r.StartedAt), OrDash(Safe(r.By)))
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", OneLine(r.Reason))
	}
	rows := Grid{}
	for _, s := range r.Stages {
		rows.Row("  "+s.Environment, string(s.State), OrDash(s.Rollout), "")
		for _, g := range s.Gates {
			why := g.Why
			if g.By != "" {
				why = g.By + ": " + why
			}
			rows.Row("    "+g.Gate, gateWord(p, g.State), "", OneLine(why))
		}
	}
	rows.Write(w)
	for _, s := range r.Stages {
		for _, g := range s.Gates {
			if g.State == course.GateFailed {
				gateReport(w, p, r, s, g)
			}
		}
	}
	if r.Waiting != "" {
		fmt.Fprintf(w, "waits for %s\n", OneLine(r.Waiting))
	}
	if len(r.Asks) > 0 {
		fmt.Fprintf(w, "%s semper pipeline approve %s   or: semper pipeline reject %s\n", p.Dim("hint:"), r.ID, r.ID)
	}
}

// gateReport is what a gate that failed has shown: what of, when, and the end of what its command printed.
func gateReport(w io.Writer, p Paint, r api.RunStatus, s course.Stage, g course.Gate) {
	fmt.Fprintf(w, "\n%s of %s, attempt %d, at %s after %s: %s\n", p.Bold("gate "+g.Gate), s.Environment, g.Attempt, Clock(g.EndedAt), Span(g.EndedAt.Sub(g.StartedAt)), p.Bad(OneLine(g.Why)))
	for _, line := range g.Tail {
		fmt.Fprintf(w, "  %s %s\n", p.Dim("│"), SafeLog(line))
	}
	if r.State == course.Failed {
		fmt.Fprintf(w, "%s semper pipeline rerun %s passes it anew\n", p.Dim("hint:"), r.ID)
	}
}

func gateWord(p Paint, s course.GateState) string {
	switch s {
	case course.GatePassed:
		return p.Good(string(s))
	case course.GateFailed:
		return p.Bad(string(s))
	}
	return string(s)
}

// Keys draws the keys that sign statements.
func Keys(w io.Writer, p Paint, l []api.SigningKey) {
	if len(l) == 0 {
		fmt.Fprintln(w, "no key has signed anything yet")
		return
	}
	rows := Grid{}
	rows.Row(p.Bold("key"), "generation", "state", "from", "until", "")
	for _, k := range l {
		state, until := string(k.State), OrDash("")
		switch k.State {
		case api.KeySigns:
			state = p.Good(state)
		case api.KeyRevoked:
			state = p.Bad(state)
		case api.KeyRetired:
		}
		if !k.Until.IsZero() {
			until = k.Until.UTC().Format(time.DateTime)
		}
		why := ""
		if k.State == api.KeyRevoked {
			why = fmt.Sprintf("by %s at %s %s", OrDash(Safe(k.RevokedBy)), k.RevokedAt.UTC().Format(time.DateTime), OneLine(k.Why))
		}
		rows.Row(fmt.Sprintf("%.12s", k.ID), fmt.Sprint(k.Generation), state, k.From.UTC().Format(time.DateTime), until, why)
	}
	rows.Write(w)
}
