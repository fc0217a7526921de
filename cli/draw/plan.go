package draw

import (
	"cmp"
	"fmt"
	"io"
	"strings"

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
