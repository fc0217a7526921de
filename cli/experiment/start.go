package experiment

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/experiment"
	"semper/experiment/design"
	"semper/internal/nearest"
	"semper/internal/pause"
)

func (c *Shell) startCommand() *cobra.Command {
	var draft bool
	var file string
	var releases map[string]string
	cmd := &cobra.Command{
		Use: "start NAME|FILE", Short: "start an experiment of semper.yaml, or one that a file of its own describes",
		Long: `Start an experiment. NAME is one of those in semper.yaml:

  experiments:
    - name: checkout
      by: cookie:uid          # what a user is known by; user: a signed cookie that the edge gives
      at_least: 168h          # nothing is concluded before
      variants:               # the first is what the others are compared with
        - { name: control, share: 0.5 }
        - { name: green, share: 0.5 }
      metrics:
        - { name: revenue, role: primary }
        - { name: refund, kind: conversion, role: guardrail, less_is_better: true }

FILE has one of them by itself: the same keys, without the "experiments" around them ("-" is stdin). What ends in .yaml, .yml or
.json, or has a / in it, is a file.

From then on every request of a user has the field Semper-Variant: checkout=green, and Semper-Variant-Key by which the app pushes
values to POST /v1/experiments/metrics. A deploy neither begins nor ends an experiment of variants that the app knows.

A variant may be another release as well: --release green=r18, or "release: r18" beside its name. Instances of it are started beside
the current ones; when all are ready, the users of the variant are served by them, and stay there. Nobody deploys meanwhile. What
wins is promoted by an ordinary rollout; semper experiment stop brings everybody back to the current release.`,
		Example: "  semper experiment start checkout\n  semper experiment start checkout --release green=r18\n  semper experiment start checkout -f shop/semper.yaml --draft\n  semper experiment start ./checkout.yaml -a shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := c.plan(args[0], file)
			if err != nil {
				return err
			}
			if err := serve(&plan, releases); err != nil {
				return err
			}
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error { return c.start(ctx, s, plan, draft) })
		},
	}
	cmd.Flags().BoolVar(&draft, "draft", false, "declare it only: nobody has a variant")
	cmd.Flags().StringToStringVar(&releases, "release", nil, "the release that serves the users of a variant: VARIANT=RELEASE")
	cmd.Flags().StringVarP(&file, "file", "f", ".", "semper.yaml that has NAME, or its directory")
	return cmd
}

// serve gives variants of plan the releases that flags name.
func serve(plan *design.Plan, releases map[string]string) error {
	for name, release := range releases {
		i := slices.IndexFunc(plan.Variants, func(v design.Variant) bool { return v.Name == name })
		if i < 0 {
			var names []string
			for _, v := range plan.Variants {
				names = append(names, v.Name)
			}
			return &semper.Error{Code: semper.Invalid, Op: "experiment start", Message: fmt.Sprintf("--release %s=%s: %s has no variant %q", name, release, plan.Name, name), Hint: "it has " + strings.Join(names, ", ")}
		}
		plan.Variants[i].Release = semper.ReleaseName(release)
	}
	_, faults := experiment.Complete(*plan)
	if len(faults) > 0 {
		return &semper.Error{Code: semper.Invalid, Op: "experiment start", Message: faults[0].Key + ": " + faults[0].Message, Hint: faults[0].Hint}
	}
	return nil
}

// start has plan started. Of one whose releases have to be started first it waits until they serve; who ends the waiting ends
// nothing else.
func (c *Shell) start(ctx context.Context, s *api.Client, plan design.Plan, draft bool) error {
	if err := s.StartExperiment(ctx, c.App(), c.Environment(), plan, draft, c.By()); err != nil {
		return err
	}
	word := "runs"
	if draft {
		word = "is declared"
	}
	said := false
	for !draft && len(plan.Releases()) > 0 {
		list, err := c.experiments(ctx, s, plan.Name)
		if err != nil {
			return err
		}
		x := list[0]
		if x.State == design.Stopped {
			return &semper.Error{Code: semper.Conflict, Op: "experiment start", Message: cmp.Or(x.Ended, "somebody has stopped it"), Hint: "nobody had a variant; semper crash list, semper events"}
		}
		if x.State != design.Starting {
			break
		}
		if !said {
			c.Sayf("%s: instances of its releases are started; it runs when all of them are ready", plan.Name)
			said = true
		}
		if !pause.For(ctx, time.Second/4) {
			return &semper.Error{Code: semper.Timeout, Op: "experiment start", Message: plan.Name + " is not ready yet", Hint: "it goes on starting: semper experiment status " + plan.Name, Err: context.Cause(ctx)}
		}
	}
	c.Sayf("%s %s: semper experiment status %s", plan.Name, word, plan.Name)
	return nil
}

// plan is the experiment that is meant: one of the semper.yaml at path, or what a file has.
func (c *Shell) plan(what, path string) (design.Plan, error) {
	switch filepath.Ext(what) {
	case ".yaml", ".yml", ".json":
		return c.readPlan(what)
	}
	if what == "-" || strings.ContainsRune(what, '/') {
		return c.readPlan(what)
	}
	all, err := c.Declared(path)
	if semper.CodeOf(err) == semper.NotFound {
		return design.Plan{}, &semper.Error{
			Code: semper.NotFound, Op: "experiment start", Err: err,
			Hint: fmt.Sprintf("say where the semper.yaml is that has %s: semper experiment start %s -f DIR; or name a file that has it by itself: semper experiment start ./%s.yaml -a APP", what, what, what),
		}
	}
	if err != nil {
		return design.Plan{}, err
	}
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == what {
			return p, nil
		}
		names[i] = p.Name
	}
	hint := "describe it there under \"experiments\", or name a file: semper experiment start FILE.yaml"
	if word := nearest.To(what, names); word != "" {
		hint = "did you mean " + word + "?"
	} else if len(names) > 0 {
		hint = "there is " + strings.Join(names, ", ")
	}
	return design.Plan{}, &semper.Error{Code: semper.NotFound, Op: "experiment start", Message: fmt.Sprintf("semper.yaml has no experiment %q", what), Hint: hint}
}

// readPlan reads the file of an experiment.
func (c *Shell) readPlan(path string) (design.Plan, error) {
	const most = 1 << 20
	in, err := c.Input([]string{path})
	if err != nil {
		return design.Plan{}, &semper.Error{Code: semper.Invalid, Op: "experiment start", Err: err, Hint: "name a file that describes an experiment, or an experiment of semper.yaml"}
	}
	defer in.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return design.Plan{}, fmt.Errorf("read %s: %w", path, err)
	case len(data) > most:
		return design.Plan{}, &semper.Error{Code: semper.Invalid, Op: "experiment start", Message: path + " is larger than 1 MiB", Hint: "name the file that describes the experiment"}
	}
	return experiment.Read(path, data)
}
