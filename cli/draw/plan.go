package draw

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"semper"
	"semper/api"
)

// Plan prints what a deploy would do.
func Plan(w io.Writer, p Paint, plan api.Plan) {
	fmt.Fprintf(w, "%s · %s  %s → %s", p.Bold(plan.App), plan.Environment, cmp.Or(string(plan.From), "nothing"), p.Bold(string(plan.To)))
	if plan.New {
		fmt.Fprint(w, " (new)")
	}
	fmt.Fprintf(w, "  computed against revision %d\n", plan.Revision)
	if plan.From == plan.To && len(plan.Changes) == 0 {
		fmt.Fprintln(w, "nothing would change")
		return
	}
	fmt.Fprintln(w, "\nchanges")
	Changes(w, p, plan.Changes)
	fmt.Fprintln(w, "\nservices")
	rows := Grid{}
	for _, e := range plan.Effects {
		rows.Row("  "+e.Service, e.Effect, Plural(e.Instances, "instance"), p.Dim(OneLine(e.Why)))
	}
	rows.Write(w)
	fmt.Fprintln(w, "\nsteps")
	rows = Grid{}
	for i, st := range plan.Steps {
		rows.Row(fmt.Sprintf("  %d", i+1), string(st.State), OneLine(st.What))
	}
	rows.Write(w)
}

// Changes prints differences, one a line.
func Changes(w io.Writer, p Paint, changes []string) {
	if len(changes) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, ch := range changes {
		ch = Safe(strings.TrimRight(ch, "\n"))
		switch {
		case strings.HasPrefix(ch, "+"):
			ch = p.Good(ch)
		case strings.HasPrefix(ch, "-"):
			ch = p.Bad(ch)
		case strings.HasPrefix(ch, "~"):
			ch = p.Warn(ch)
		}
		fmt.Fprintln(w, "  "+ch)
	}
}

// Crash prints a crash report whole.
func Crash(w io.Writer, p Paint, r semper.CrashReport) {
	fmt.Fprintf(w, "%s  %s %s\n", p.Bold(r.ID), r.What, p.Bad(OneLine(r.Reason.String())))
	rows := Grid{}
	row := func(k, v string) {
		if v != "" {
			rows.Row("  "+p.Dim(k), OneLine(v))
		}
	}
	row("at", Clock(r.At))
	row("release", string(r.Release))
	if r.PID != 0 {
		row("pid", fmt.Sprint(r.PID))
	}
	row("uptime", Span(r.Uptime.D()))
	row("restarts", fmt.Sprintf("%d, of these %d within %s (gives up over %d)", r.Restarts, r.Window, r.Intensity.Within, r.Intensity.Restarts))
	row("decision", r.Decision)
	if r.Peak.MemoryBytes > 0 || r.Peak.CPU > 0 {
		row("peak", fmt.Sprintf("memory %s, cpu time %s", Size(r.Peak.MemoryBytes), Span(r.Peak.CPU.D())))
	}
	row("last good", string(r.LastGood))
	rows.Write(w)
	if len(r.Diff) > 0 {
		fmt.Fprintf(w, "\nwhat differs from %s\n", r.LastGood)
		Changes(w, p, r.Diff)
	}
	if len(r.Tail) > 0 {
		fmt.Fprintln(w, "\nlast lines of output")
		for _, l := range r.Tail {
			fmt.Fprintln(w, p.Dim("  │ ")+Safe(l))
		}
	}
}
