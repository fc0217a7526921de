package draw

import (
	"cmp"
	"fmt"
	"io"
	"semper/internal/argv"
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
	if plan.Refused != "" {
		fmt.Fprintf(w, "%s %s\n%s\n", p.Bad("a deploy is refused now:"), OneLine(plan.Refused), p.Dim("instead: "+OneLine(plan.Instead)))
	}
	if plan.From == plan.To && len(plan.Changes) == 0 {
		fmt.Fprintln(w, "nothing would change")
		return
	}
	fmt.Fprintln(w, "\nchanges")
	Changes(w, p, plan.Changes)
	fmt.Fprintln(w, "\nservices")
	rows := Grid{}
	for _, e := range plan.Effects {
		rows.Row("  "+e.Service, e.Effect, cmp.Or(e.Runs, Plural(e.Instances, "instance")), p.Dim(OneLine(e.Why)))
	}
	rows.Write(w)
	fmt.Fprintln(w, "\nsteps")
	rows = Grid{}
	for i, st := range plan.Steps {
		rows.Row(fmt.Sprintf("  %d", i+1), string(st.State), OneLine(st.What))
	}
	rows.Write(w)
}

// Migration prints what a deploy would have run once, and for whom it would be a wait.
func Migration(w io.Writer, p Paint, plan api.Plan) {
	m := plan.Migration
	fmt.Fprintf(w, "%s · %s  %s → %s\n", p.Bold(plan.App), plan.Environment, cmp.Or(string(plan.From), "nothing"), p.Bold(string(plan.To)))
	fmt.Fprintf(w, "\nmigration   %s\n", OneLine(argv.Line(m.Command)))
	if len(m.OnFailure) > 0 {
		fmt.Fprintf(w, "on failure  %s\n", OneLine(argv.Line(m.OnFailure)))
	}
	if d := m.Done; d != nil && d.Failed != "" {
		fmt.Fprintf(w, "%s\n", p.Bad("it failed here at "+Stamp(d.At)+": "+OneLine(d.Failed)+"; only semper deploy --migrate-again runs it again"))
	} else if d != nil {
		fmt.Fprintf(w, "%s\n", p.Good("it has run here at "+Stamp(d.At)+" and does not run again"))
		return
	}
	fmt.Fprintln(w, "\norder")
	rows := Grid{}
	for i, st := range plan.Steps {
		rows.Row(fmt.Sprintf("  %d", i+1), string(st.State), OneLine(st.What))
	}
	rows.Write(w)
	fmt.Fprintf(w, "\nwait        %s\n", expected(m))
}

// expected says in words who waits for m, and how long.
func expected(m *api.PlanMigration) string {
	who := map[semper.Holding]string{semper.HoldAll: "all requests wait", semper.HoldWrites: "requests with unsafe methods wait"}[m.Hold]
	if who == "" {
		return "nobody waits"
	}
	long := fmt.Sprintf("at most %s", m.Deadline)
	if e := m.Elsewhere; e != nil {
		long = fmt.Sprintf("about %s, as in %s; at most %s", e.Took, m.In, m.Deadline)
	}
	rest := ""
	if m.Hold == semper.HoldWrites {
		rest = "; others go on to the old release"
	}
	return fmt.Sprintf("%s, %s; up to %d of them, each up to %s, then 503 with Retry-After%s", who, long, m.Limits.Requests, m.Limits.Age, rest)
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
