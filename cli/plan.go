package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
)

func (c *command) planCommand() *cobra.Command {
	var file, save string
	var code bool
	cmd := &cobra.Command{
		Use: "plan", Short: "say what a deploy would change, why and how",
		Long: `Build and pack as deploy does, then print the differences to what serves, the effect on each service
and the steps the rollout would pass. Nothing is changed or uploaded.`,
		Example: "  semper plan\n  semper plan --save plan.json && semper deploy --plan plan.json\n  semper plan --exit-code   # 2 when there are changes",
		Args:    cobra.NoArgs,
		RunE:    c.ask(func(ctx context.Context, s *api.Client) error { return c.plan(ctx, s, file, save, code) }),
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&save, "save", "", "write the plan to this file, for deploy --plan")
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit 2 when there are changes")
	return cmd
}

func (c *command) plan(ctx context.Context, s *api.Client, file, save string, code bool) error {
	src, err := c.prepare(ctx, file, c.newProgress())
	if err != nil {
		return err
	}
	defer src.close()
	req := c.request(src)
	plan, err := s.Plan(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return before(ctx)
		}
		return err
	}
	if save != "" {
		b, err := json.MarshalIndent(savedPlan{Schema: 1, Request: req, Plan: plan}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(save, append(b, '\n'), 0o600); err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "save plan", Err: err}
		}
	}
	err = c.print(plan, []string{string(plan.To)}, func(w io.Writer, p paint) { drawPlan(w, p, plan) })
	if err == nil && code && (plan.From != plan.To || len(plan.Changes) > 0) {
		return &exit{code: exitChanges}
	}
	return err
}

func drawPlan(w io.Writer, p paint, plan api.Plan) {
	fmt.Fprintf(w, "%s · %s  %s → %s", p.bold(plan.App), plan.Environment, cmp.Or(string(plan.From), "nothing"), p.bold(string(plan.To)))
	if plan.New {
		fmt.Fprint(w, " (new)")
	}
	fmt.Fprintf(w, "  computed against revision %d\n", plan.Revision)
	if plan.From == plan.To && len(plan.Changes) == 0 {
		fmt.Fprintln(w, "nothing would change")
		return
	}
	fmt.Fprintln(w, "\nchanges")
	drawChanges(w, p, plan.Changes)
	fmt.Fprintln(w, "\nservices")
	rows := grid{}
	for _, e := range plan.Effects {
		rows.row("  "+e.Service, e.Effect, plural(e.Instances, "instance"), p.dim(oneLine(e.Why)))
	}
	rows.write(w)
	fmt.Fprintln(w, "\nsteps")
	rows = grid{}
	for i, st := range plan.Steps {
		rows.row(fmt.Sprintf("  %d", i+1), string(st.State), oneLine(st.What))
	}
	rows.write(w)
}

// drawChanges prints differences, one a line.
func drawChanges(w io.Writer, p paint, changes []string) {
	if len(changes) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, ch := range changes {
		ch = safe(strings.TrimRight(ch, "\n"))
		switch {
		case strings.HasPrefix(ch, "+"):
			ch = p.good(ch)
		case strings.HasPrefix(ch, "-"):
			ch = p.bad(ch)
		case strings.HasPrefix(ch, "~"):
			ch = p.warn(ch)
		}
		fmt.Fprintln(w, "  "+ch)
	}
}
