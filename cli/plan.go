package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func (c *command) planCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use: "plan", Short: "say what a deploy would change, why and how",
		Long: `Build and pack as deploy does, then print the differences to what serves, the effect on each service
and the steps the rollout would pass. Nothing is changed or uploaded.`,
		Example: "  semper plan\n  semper plan --save plan.json && semper deploy --plan plan.json\n  semper plan --exit-code   # 2 when there are changes\n  semper plan --migrate     # who would wait, and for how long",
		Args:    cobra.NoArgs,
		RunE:    c.ask(func(ctx context.Context, s *api.Client) error { return c.plan(ctx, s, f) }),
	}
	fileFlag(cmd, &f.file)
	cmd.Flags().StringVar(&f.save, "save", "", "write the plan to this file, for deploy --plan")
	cmd.Flags().BoolVar(&f.code, "exit-code", false, "exit 2 when there are changes")
	cmd.Flags().BoolVar(&f.migrate, "migrate", false, "only the migration: in which order, who waits, and how long that is expected to take")
	return cmd
}

type planFlags struct {
	file, save    string
	code, migrate bool
}

func (c *command) plan(ctx context.Context, s *api.Client, f planFlags) error {
	src, err := c.prepare(ctx, f.file, c.newProgress())
	if err != nil {
		return err
	}
	defer src.Close()
	req := c.request(src)
	plan, err := s.Plan(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return before(ctx)
		}
		return err
	}
	if f.migrate && plan.Migration == nil {
		return &semper.Error{Code: semper.NotFound, Op: "plan", Message: src.File.Path + " has no migration", Hint: "semper config explain migrate"}
	}
	if f.save != "" {
		b, err := json.MarshalIndent(savedPlan{Schema: 1, Request: req, Plan: plan}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.save, append(b, '\n'), 0o600); err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "save plan", Err: err}
		}
	}
	err = c.print(plan, []string{string(plan.To)}, func(w io.Writer, p draw.Paint) {
		if !f.migrate {
			draw.Plan(w, p, plan)
			return
		}
		draw.Migration(w, p, plan)
	})
	if err == nil && f.code && (plan.From != plan.To || len(plan.Changes) > 0) {
		return &exit{code: exitChanges}
	}
	return err
}
