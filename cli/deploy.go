package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/progress"
	"semper/cli/source"
)

var errNothingChanged = errors.New("interrupted: nothing was changed")

// prepare loads, builds and packs. Nothing outside this machine's temporary directory changes by it.
func (c *command) prepare(ctx context.Context, path string, p progress.Progress) (*source.Source, error) {
	src, err := source.Prepare(ctx, path, source.Options{Lookup: c.env.LookupEnv, Output: c.env.Stderr, Step: p.Step})
	if err != nil && ctx.Err() != nil {
		return nil, before(ctx)
	}
	return src, err
}

// before is the error of a command that ended before it asked for any change.
func before(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return &semper.Error{Code: semper.Timeout, Message: "nothing was changed", Err: errTimeout, Hint: "give it longer with --timeout"}
	}
	return &exit{code: exitInterrupted, err: errNothingChanged}
}

// A savedPlan is what `plan --save` writes and `deploy --plan` holds the server to.
type savedPlan struct {
	Schema  int               `json:"schema"`
	Request api.DeployRequest `json:"request"`
	Plan    api.Plan          `json:"plan"`
}

func (c *command) request(s *source.Source) api.DeployRequest {
	return api.DeployRequest{Environment: c.environment, Spec: s.File.Spec, Pipeline: s.File.Pipeline, Artifact: s.Digest, By: c.by()}
}

type deployFlags struct {
	file, until, plan, hotfix string
	detach, dryRun, again     bool
}

func (c *command) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use: "deploy", Short: "make a release and move the environment to it",
		Long: `Build, pack and upload what semper.yaml (or a Procfile) names, then move the environment to it: the
new release is started beside the old one, and gets the traffic at once when all of it is ready.
Whatever goes wrong, the old release keeps serving. Ctrl-C leaves a begun rollout running.

Where semper.yaml has deploy.steps, the release is on trial first: each step gives it a share of the traffic,
or copies of it, and the next one follows when it is found no worse than the release that serves. One that is
found worse is returned (exit code 3). --until shadow and --until canary pause at the end of those steps and
return: semper resume, promote or abort goes on from there. --hotfix is for a release in production that is
itself the broken one: it leaves out the steps, and is written down.

Where semper.yaml has migrate, its command runs once per release when all instances are ready and before any of
them serves; what it prints is shown. If it fails, the old release serves on and the new one is bad.`,
		Example: "  semper deploy\n  semper deploy -f examples/python-hello\n  semper deploy --until done --timeout 10m\n  semper deploy --until canary\n  semper deploy --hotfix \"r41 loses orders\"",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			if f.dryRun {
				return c.plan(ctx, s, planFlags{file: f.file})
			}
			return c.deploy(ctx, s, f)
		}),
	}
	fileFlag(cmd, &f.file)
	untilFlag(cmd, &f.until, "shadow", "canary")
	cmd.Flags().StringVar(&f.hotfix, "hotfix", "", "leave out the steps of the release and, as an admin, the gates of the environment; say why")
	cmd.Flags().BoolVar(&f.again, "migrate-again", false, "run a migration once more that failed, once what it left behind is put right")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "return as soon as the rollout has begun")
	cmd.Flags().StringVar(&f.plan, "plan", "", "deploy exactly what this saved plan says, or not at all")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would happen; the same as semper plan")
	return cmd
}

func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", ".", "semper.yaml, a Procfile, or the directory it is in")
}

// untilFlag is how far a command follows the rollout that it begins: the states that all of them know, and those of steps.
func untilFlag(cmd *cobra.Command, until *string, steps ...string) {
	words := "wait until live, drained (the old release has nothing left) or done (it is stopped)"
	if len(steps) > 0 {
		words = "wait until live, drained (the old release has nothing left) or done (it is stopped); or pause after " + strings.Join(steps, " or ")
	}
	known := append([]string{"live", "drained", "done"}, steps...)
	cmd.Flags().StringVar(until, "until", "live", words)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if slices.Contains(known, *until) {
			return nil
		}
		return &exit{code: exitUsage, err: fmt.Errorf("--until %q: it is one of %s", *until, strings.Join(known, ", ")), hint: cmd.CommandPath() + " --help"}
	}
}

func (c *command) deploy(ctx context.Context, s *api.Client, f deployFlags) error {
	if c.env.Yield != nil && strings.HasPrefix(c.hostName(), "unix:") {
		c.env.Yield()
	}
	p := c.newProgress()
	src, err := c.prepare(ctx, f.file, p)
	if err != nil {
		return err
	}
	defer src.Close()
	req := c.request(src)
	req.MigrateAgain = f.again
	if req.Hotfix, req.Until = f.hotfix, pauseAt[f.until]; req.Until != "" {
		f.until = "paused"
	}
	if f.plan != "" {
		if err := hold(&req, f.plan); err != nil {
			return err
		}
	}
	if err := c.upload(ctx, s, src, p); err != nil {
		return err
	}
	began, err := begin(ctx, func(ctx context.Context) (semper.Rollout, error) { return s.Deploy(ctx, req) })
	if err != nil {
		return err
	}
	return c.await(ctx, s, p, src.File.Spec.App, f.until, f.detach, began)
}

// hold a request to a saved plan: the same files, the same settings, the same state of the environment.
func hold(req *api.DeployRequest, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return &semper.Error{Code: semper.Invalid, Op: "read plan", Err: err, Hint: "semper plan --save FILE makes one"}
	}
	var saved savedPlan
	if err := json.Unmarshal(b, &saved); err != nil || saved.Schema != 1 {
		return &semper.Error{Code: semper.Invalid, Op: "read plan", Message: path + " is not a plan of this version of semper", Err: err, Hint: "semper plan --save FILE makes one"}
	}
	want, have := saved.Request, *req
	if want.Artifact != have.Artifact || want.Spec.ConfigDigest() != have.Spec.ConfigDigest() || want.Environment != have.Environment {
		return &semper.Error{Code: semper.Conflict, Message: "files or settings are not those of the plan; nothing was changed", Hint: "plan again: semper plan --save " + path}
	}
	req.ExpectRevision = saved.Plan.Revision
	return nil
}

func (c *command) upload(ctx context.Context, s *api.Client, src *source.Source, p progress.Progress) error {
	has, err := s.HasArtifact(ctx, src.Digest)
	if err == nil && !has {
		p.Step("upload", draw.Size(src.Size))
		err = s.PutArtifact(ctx, src.Digest, src.Packed)
	}
	if ctx.Err() != nil {
		return before(ctx)
	}
	return err
}

// begin asks for a change whose answer must be known: the end of ctx gives it a moment more, so that
// an interrupted command can say whether anything has begun.
func begin(ctx context.Context, ask func(context.Context) (semper.Rollout, error)) (semper.Rollout, error) {
	if ctx.Err() != nil {
		return semper.Rollout{}, before(ctx)
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(5 * time.Second)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-inner.Done():
		}
	})
	defer stop()
	r, err := ask(inner)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return r, &exit{code: exitInterrupted, err: errors.New("interrupted before the server answered; it may have begun"), hint: "semper status tells"}
	}
	return r, err
}

// await follows a begun rollout and prints where it got to.
func (c *command) await(ctx context.Context, s *api.Client, p progress.Progress, app, until string, detach bool, began semper.Rollout) error {
	env := c.environment
	if env == "" {
		env = semper.DefaultEnvironment
	}
	end := began
	if !detach {
		var err error
		if end, err = c.follow(ctx, s, p, app, env, until, began); err != nil {
			if code := codeOf(err); code == exitRejected || code == exitFailed {
				c.printEnd(ctx, s, app, env, end, "")
			}
			return err
		}
	}
	c.printEnd(ctx, s, app, env, end, c.words(app, env, end))
	return nil
}

// printEnd puts the data of a rollout's end on stdout: the environment in the machine forms, words for a person.
func (c *command) printEnd(ctx context.Context, s *api.Client, app, env string, end semper.Rollout, words string) {
	var b bytes.Buffer
	switch {
	case c.progress == "json":
		return // its last line has it
	case c.output == "table":
		if words == "" || c.quiet {
			return
		}
		fmt.Fprintln(&b, words)
		_, _ = c.env.Stdout.Write(b.Bytes()) // nobody left to tell
	default:
		st, err := s.Status(ctx, app, env)
		if err != nil {
			c.sayf("the status cannot be read: %v", err)
			return
		}
		if err := c.print(st, []string{string(end.To)}, nil); err != nil {
			c.sayf("%v", err)
		}
	}
}

// onPause reports whether r waits for a person.
func onPause(r semper.Rollout) bool {
	return r.Trial != nil && r.Trial.Paused && !r.State.Live() && !r.State.Ended()
}

// words for a rollout that has come as far as was asked for.
func (c *command) words(app, env string, r semper.Rollout) string {
	where := app
	if env != semper.DefaultEnvironment {
		where += " in " + env
	}
	on := draw.Scope(app, env)
	switch {
	case onPause(r):
		return fmt.Sprintf("%s %s of %s to %s is paused at step %d; go on: semper resume%s   end it: semper abort%s", r.Kind, r.ID, where, r.To, r.Trial.Step+1, on, on)
	case !r.State.Live() && !r.State.Ended():
		return fmt.Sprintf("%s %s of %s to %s has begun; watch it: semper status -w%s", r.Kind, r.ID, where, r.To, on)
	case r.State == semper.RolloutSuperseded:
		return fmt.Sprintf("%s of %s was live; the next rollout has taken its place", r.To, where)
	}
	took := r.EnteredAt.Sub(r.StartedAt)
	for _, st := range r.Steps {
		if st.State.Live() {
			took = st.At.Sub(r.StartedAt)
			break
		}
	}
	w := fmt.Sprintf("%s of %s is live: %s %s, epoch %d, after %s", r.To, where, r.Kind, r.ID, r.Epoch, draw.Span(took))
	if r.From != "" && r.From != r.To && r.State != semper.RolloutDone && r.State != semper.RolloutRetire {
		w += fmt.Sprintf("; %s stays warm: semper rollback%s", r.From, on)
	}
	return w
}
