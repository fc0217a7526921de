package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/scaling"
)

// target is the app and environment meant, as the server sees them.
func (c *command) target(ctx context.Context, s *api.Client) (api.Status, error) {
	st, err := s.Status(ctx, c.app, c.environment)
	if err == nil {
		c.environment = st.Environment
	}
	return st, err
}

// move is a change that is a rollout: begun, followed, printed.
func (c *command) move(ctx context.Context, s *api.Client, app, until string, detach bool, ask func(context.Context) (semper.Rollout, error)) error {
	began, err := begin(ctx, ask)
	if err != nil {
		return err
	}
	return c.await(ctx, s, c.newProgress(), app, until, detach, began)
}

func moveFlags(cmd *cobra.Command, until *string, detach *bool) {
	untilFlag(cmd, until)
	cmd.Flags().BoolVar(detach, "detach", false, "return as soon as it has begun")
}

func (c *command) rollbackCommand() *cobra.Command {
	var until string
	var detach bool
	cmd := &cobra.Command{
		Use: "rollback [RELEASE]", Short: "go back to the release before, or to the one named",
		Long: `Move the environment back: artifact, configuration, routes and scale together. While the old release
is warm it is one route table back; later it is a rollout of an old value. On a terminal it shows the
differences and asks.`,
		Example: "  semper rollback\n  semper rollback r41 -y",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				st, err := c.target(ctx, s)
				if err != nil {
					return err
				}
				to := st.Previous
				if len(args) == 1 {
					to = semper.ReleaseName(args[0])
				}
				if to != "" {
					ok, err := c.confirmRollback(ctx, s, st, to)
					if err != nil || !ok {
						return err
					}
				}
				if len(args) == 0 {
					to = "" // the server knows which one is before, also when that has just changed
				}
				return c.move(ctx, s, st.App, until, detach, func(ctx context.Context) (semper.Rollout, error) {
					return s.Rollback(ctx, st.App, st.Environment, to, c.by())
				})
			})
		},
	}
	moveFlags(cmd, &until, &detach)
	return cmd
}

// confirmRollback shows what would differ and asks, where there is somebody to ask.
func (c *command) confirmRollback(ctx context.Context, s *api.Client, st api.Status, to semper.ReleaseName) (bool, error) {
	if !c.interactive() {
		return true, nil
	}
	if st.Release != "" {
		d, err := s.ReleaseDiff(ctx, st.App, st.Release, to)
		if err != nil {
			return false, err
		}
		c.sayf("%s · %s  %s → %s", st.App, st.Environment, st.Release, to)
		draw.Changes(c.env.Stderr, c.paint(c.env.Stderr), d.Changes)
	}
	ok, err := c.confirmed(fmt.Sprintf("roll back to %s?", to))
	if err == nil && !ok {
		c.sayf("nothing was changed")
		return false, &exit{code: exitFailed}
	}
	return ok, err
}

func (c *command) scaleCommand() *cobra.Command {
	var until string
	var detach bool
	cmd := &cobra.Command{
		Use: "scale [SERVICE=N…]", Short: "run more or fewer instances, or show how many there are and why",
		Long: `New instances get traffic when they are ready; those that go finish what they have first. A service that is scaled by itself (scale in
semper.yaml) keeps a number given here until the next deploy, or until SERVICE=auto. Without an argument it shows what there is.`,
		Example: "  semper scale\n  semper scale web=5\n  semper scale web=auto",
		RunE: func(cmd *cobra.Command, args []string) error {
			scale, err := scaling.Parse(args)
			if err != nil {
				return &exit{code: exitUsage, err: err, hint: "semper scale web=5"}
			}
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				st, err := c.target(ctx, s)
				if err != nil {
					return err
				}
				if len(args) == 0 {
					rows := scaling.Rows(st)
					return printList(c, rows, func(r scaling.Row) string { return r.Service }, func(w io.Writer, p draw.Paint) { scaling.Table(w, p, rows) })
				}
				return c.move(ctx, s, st.App, until, detach, func(ctx context.Context) (semper.Rollout, error) {
					return s.Scale(ctx, st.App, st.Environment, scale, c.by())
				})
			})
		},
	}
	moveFlags(cmd, &until, &detach)
	return cmd
}

func (c *command) restartCommand() *cobra.Command {
	var until string
	var detach bool
	cmd := &cobra.Command{
		Use: "restart [SERVICE…]", Short: "replace instances by new ones of the same release",
		Long:    "By the same steps as a deploy: new ones are started and ready before the old ones end.",
		Example: "  semper restart\n  semper restart web",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				st, err := c.target(ctx, s)
				if err != nil {
					return err
				}
				return c.move(ctx, s, st.App, until, detach, func(ctx context.Context) (semper.Rollout, error) {
					return s.Restart(ctx, st.App, st.Environment, args, c.by())
				})
			})
		},
	}
	moveFlags(cmd, &until, &detach)
	return cmd
}

func (c *command) abortCommand() *cobra.Command {
	return &cobra.Command{
		Use: "abort", Short: "end the rollout under way; the release that served serves on",
		Long:    "A release on trial loses its traffic by the next route table, finishes what it has, and is stopped.",
		Example: "  semper abort",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			st, err := c.target(ctx, s)
			if err != nil {
				return err
			}
			r, err := begin(ctx, func(ctx context.Context) (semper.Rollout, error) {
				return s.Abort(ctx, st.App, st.Environment, c.by())
			})
			if err != nil {
				return err
			}
			serves := "nothing serves, as before"
			if r.From != "" {
				serves = string(r.From) + " serves"
			}
			c.printEnd(ctx, s, st.App, st.Environment, r, fmt.Sprintf("%s %s of %s to %s is aborted (%s): %s", r.Kind, r.ID, st.App, r.To, r.State, serves))
			return nil
		}),
	}
}
