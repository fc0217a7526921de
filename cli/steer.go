package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/internal/stepwords"
)

func (c *command) promoteCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use: "promote", Short: "go on without waiting: skip a step of a trial, or let go of the old release",
		Long: `Of a release on trial, skip the present step, whatever its verdict; with --full all steps that are left,
so that the release gets all traffic as soon as the rest of its instances is ready. It is written down who did.
Of a rollout that is watched, end the watch: the old release is stopped, and a rollback needs to start it again.`,
		Example: "  semper promote\n  semper promote --full",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			st, err := c.target(ctx, s)
			if err != nil {
				return err
			}
			p := api.Promotion{Full: full, By: c.by()}
			onTrial := st.Rollout != nil && st.Rollout.Trial != nil && !st.Rollout.State.Live() && !st.Rollout.State.Ended()
			if onTrial && !full {
				p.Step = st.Rollout.Trial.Step + 1
			}
			r, err := begin(ctx, func(ctx context.Context) (semper.Rollout, error) {
				return s.Promote(ctx, st.App, st.Environment, p)
			})
			if err != nil {
				return err
			}
			words := fmt.Sprintf("%s %s of %s is promoted: %s keeps serving, the old release is let go", r.Kind, r.ID, st.App, r.To)
			if onTrial {
				words = fmt.Sprintf("%s %s of %s: %s", r.Kind, r.ID, st.App, skipped(r, st.Rollout.Way, p.Step))
			}
			c.printEnd(ctx, s, st.App, st.Environment, r, words)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&full, "full", false, "skip all steps that are left")
	return cmd
}

// skipped says where a promotion has brought r.
func skipped(r semper.Rollout, way []semper.Step, step int) string {
	t := r.Trial
	if t == nil || t.Over || t.Step >= len(way) {
		return fmt.Sprintf("no step is left; %s gets all traffic when all of it is ready", r.To)
	}
	return fmt.Sprintf("step %d is skipped; now step %d of %d, %s", step, t.Step+1, len(way), stepwords.Sentence(way[t.Step]))
}

func (c *command) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pause", Short: "keep a release on trial at the step it is at",
		Long: `The rollout keeps its share of the traffic and goes on being judged: a release that is found worse is
returned while it is paused, too. semper resume lets it go on.`,
		Example: "  semper pause",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			st, err := c.target(ctx, s)
			if err != nil {
				return err
			}
			r, err := begin(ctx, func(ctx context.Context) (semper.Rollout, error) { return s.Pause(ctx, st.App, st.Environment, c.by()) })
			if err != nil {
				return err
			}
			c.printEnd(ctx, s, st.App, st.Environment, r, fmt.Sprintf("%s %s of %s to %s is paused; let it go on: semper resume%s", r.Kind, r.ID, st.App, r.To, draw.Scope(st.App, st.Environment)))
			return nil
		}),
	}
}

func (c *command) resumeCommand() *cobra.Command {
	var requests, deploy bool
	var h api.HoldRequest
	cmd := &cobra.Command{
		Use: "resume", Short: "let go on what waits: a paused rollout, or held requests",
		Long: `A paused rollout goes on with its steps; held requests go on, paced, onto whatever serves now: all of them, or those
of one hold. Where a rollout and requests wait, say which.`,
		Example: "  semper resume\n  semper resume --requests   # a rollout is paused as well\n  semper resume --service web",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			st, err := c.target(ctx, s)
			if err != nil {
				return err
			}
			paused := st.Rollout != nil && st.Rollout.Trial != nil && st.Rollout.Trial.Paused && !st.Rollout.State.Ended()
			if paused && len(st.Hold) > 0 && !requests && !deploy {
				return &exit{code: exitUsage, err: errors.New("a rollout is paused, and requests are held"), hint: "semper resume --rollout or semper resume --requests"}
			}
			if deploy || paused && !requests {
				return c.resumeRollout(ctx, s, st)
			}
			return c.resumeHeld(ctx, s, h)
		}),
	}
	cmd.Flags().BoolVar(&requests, "requests", false, "held requests")
	cmd.Flags().BoolVar(&deploy, "rollout", false, "the paused rollout")
	targetFlags(cmd, &h)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		requests = requests || h.Service != "" || h.Route != ""
		if requests && deploy {
			return &exit{code: exitUsage, err: errors.New("--rollout is for the paused rollout, and the others are for held requests: take one"), hint: "semper resume --help"}
		}
		return checkTarget(h)
	}
	return cmd
}

func (c *command) resumeRollout(ctx context.Context, s *api.Client, st api.Status) error {
	r, err := begin(ctx, func(ctx context.Context) (semper.Rollout, error) {
		return s.ResumeRollout(ctx, st.App, st.Environment, c.by())
	})
	if err != nil {
		return err
	}
	c.printEnd(ctx, s, st.App, st.Environment, r, fmt.Sprintf("%s %s of %s to %s goes on; watch it: semper status -w%s", r.Kind, r.ID, st.App, r.To, draw.Scope(st.App, st.Environment)))
	return nil
}

// A pauseAt is where deploy pauses and returns, beside the states of a rollout: at the end of a kind of step.
var pauseAt = map[string]semper.StepKind{"shadow": semper.StepShadow, "canary": semper.StepTraffic}
