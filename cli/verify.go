package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/recorded"
	"semper/verify"
	"semper/verify/diff"
	"semper/verify/offline"
)

// verifyCommand holds the judge.
func (c *command) verifyCommand() *cobra.Command {
	return topic("verify", "judge one release by another", "  semper verify show\n  semper verify judge batches.csv\n  semper verify diff old.jsonl new.jsonl\n  semper verify replay shop.har --against http://127.0.0.1:8081",
		c.verifyShowCommand(), c.verifyJudgeCommand(), c.verifyDiffCommand(), c.verifyReplayCommand())
}

func (c *command) verifyShowCommand() *cobra.Command {
	var code bool
	cmd := &cobra.Command{
		Use: "show [ROLLOUT]", Short: "what the judge knows of a rollout, and why it says so",
		Long: `Show what was counted of a rollout with steps, step by step and as curves, what the judge says by it, and the one sentence that
says why. Without ROLLOUT it is the newest that was judged. The page of the app leads to the same.`,
		Example: "  semper verify show\n  semper verify show d-41 -a bar\n  semper verify show --json | jq .verdict",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				id := ""
				if len(args) > 0 {
					id = args[0]
				}
				j, err := s.Judgement(ctx, c.app, c.environment, id)
				if err != nil {
					return err
				}
				err = c.print(j, []string{string(j.Verdict.Outcome)}, func(w io.Writer, p draw.Paint) { draw.Judgement(w, p, j) })
				if err == nil && code && j.Verdict.Outcome == semper.Worse {
					return &exit{code: exitRejected}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit 3 when the candidate is worse")
	return cmd
}

func (c *command) verifyJudgeCommand() *cobra.Command {
	var s offline.Settings
	var margins, weights []string
	cmd := &cobra.Command{
		Use: "judge [FILE]", Short: "judge batches of two arms that were written down",
		Long: `Read batches of a candidate and a baseline, as CSV or as lines of JSON, and print the verdict after each time in them. It is
the judge of a rollout: it may be asked after every batch, and errs with probability alpha at most over all of them.

Columns: time, metric, kind, arm (candidate or baseline), and by kind
  errors, users, differences  requests, bad
  latency                     requests, bad, threshold (the name of what they were slower than)
  gauge                       value
  mean                        value, a row for each user; or n, sum, squares

Exit codes: 0 not worse (or not yet known), 3 worse. docs/guides/judge.md tells the rest.`,
		Example: "  semper verify judge batches.csv\n  semper verify judge --alpha 0.001 --margin errors=1.5 -o jsonl < batches.jsonl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if s.Margins, err = numbers("margin", margins); err != nil {
				return err
			}
			if s.Weights, err = numbers("weight", weights); err != nil {
				return err
			}
			in, err := c.input(args)
			if err != nil {
				return err
			}
			defer in.Close() //nolint:errcheck // it was read
			return c.verifyJudge(in, s)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&s.Alpha, "alpha", verify.DefaultAlpha, "how probable it may be that a release which is as good is found worse")
	f.StringArrayVar(&margins, "margin", nil, "what is allowed of a metric, like errors=1.25: so many times the baseline's")
	f.StringArrayVar(&weights, "weight", nil, "what a metric weighs, like errors=3; each weighs 1 without it")
	f.StringArrayVar(&s.Less, "less-is-worse", nil, "a gauge or mean of which less is worse")
	f.Float64Var(&s.Split, "split", 0, "the candidate's part of the traffic as it was declared, to compare with")
	f.DurationVar(&s.WarmUp, "warm-up", 0, "how long after the first row nothing counts")
	f.DurationVar(&s.Need.Time, "min-time", 0, "how long nothing must speak against the candidate")
	f.Int64Var(&s.Need.Requests, "min-requests", 1000, "how many requests of each arm there must be")
	return cmd
}

// numbers reads NAME=NUMBER of flags.
func numbers(flag string, all []string) (map[string]float64, error) {
	out := make(map[string]float64, len(all))
	for _, s := range all {
		name, value, ok := strings.Cut(s, "=")
		x, err := strconv.ParseFloat(value, 64)
		if !ok || name == "" || err != nil {
			return nil, &exit{code: exitUsage, err: fmt.Errorf("--%s %q: write it as METRIC=NUMBER", flag, s)}
		}
		out[name] = x
	}
	return out, nil
}

// input is the file named, or standard input.
func (c *command) input(args []string) (io.ReadCloser, error) {
	if len(args) == 0 || args[0] == "-" {
		return io.NopCloser(c.env.Stdin), nil
	}
	return os.Open(args[0])
}

func (c *command) verifyJudge(in io.Reader, s offline.Settings) error {
	var last verify.Verdict
	var all []verify.Verdict
	p := c.paint(c.env.Stdout)
	err := offline.Judge(in, s, func(v verify.Verdict) (err error) {
		switch c.output {
		case "jsonl":
			err = line(c.env.Stdout, v)
		case "table":
			if !c.quiet && last.Outcome != verify.Worse { // which it stays
				var b bytes.Buffer
				draw.VerdictLine(&b, p, v, last.Outcome != v.Outcome || last.Cause != v.Cause)
				_, err = c.env.Stdout.Write(b.Bytes())
			}
		default:
			all = append(all, v)
		}
		last = v
		return err
	})
	if err != nil {
		return &exit{code: exitFailed, err: err, hint: "semper verify judge --help"}
	}
	switch c.output {
	case "jsonl":
	case "table":
		var b bytes.Buffer
		draw.Verdict(&b, p, last)
		_, err = c.env.Stdout.Write(b.Bytes())
	default:
		err = c.print(all, []string{string(last.Outcome)}, nil)
	}
	if err == nil && last.Outcome == verify.Worse {
		return &exit{code: exitRejected}
	}
	return err
}

// compareFlags are those that say how responses are compared.
func compareFlags(cmd *cobra.Command, to *recorded.Comparison) {
	f := cmd.Flags()
	f.StringVar(&to.RulesFile, "rules", "", "a file of rules")
	f.StringArrayVar(&to.Ignore, "ignore", nil, "a path that does not matter, like body.**.id")
	f.StringSliceVar(&to.Fields, "field", nil, "header fields to compare (default Content-Type, Location, Cache-Control, Content-Encoding, Vary)")
	f.StringVar(&to.Descriptors, "descriptors", "", "a descriptor set, to compare Protocol Buffers and gRPC by field (protoc --include_imports --descriptor_set_out=FILE)")
	f.StringArrayVar(&to.Messages, "message", nil, "what an endpoint answers that is no gRPC method, like 'GET /cart=shop.Cart'")
	f.StringSliceVar(&to.Mask, "mask", nil, "names whose values are not shown, beside those that are known")
}

func (c *command) verifyDiffCommand() *cobra.Command {
	var how recorded.Comparison
	var code bool
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "compare two sets of recorded responses",
		Long: `Compare the responses of one release with those of another to the same requests, and print at which places they differ, how
often, and an example. Secrets and personal data are masked.

Both files have a response on each line, as JSON: id, endpoint, status, header, body (or body_base64). The n-th is compared with
the n-th. A file of rules is a JSON list of what is expected or to be ignored: path, kind, was, is, tolerance, renamed_to, ignore,
endpoint, until. A rule that never matched is told.`,
		Example: "  semper verify diff old.jsonl new.jsonl\n  semper verify diff --ignore 'body.**.updated_at' --rules expected.json old.jsonl new.jsonl\n" +
			"  semper verify diff --descriptors shop.binpb --message 'GET /cart=shop.Cart' old.jsonl new.jsonl",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			compare, err := how.Comparer()
			if err != nil {
				return err
			}
			return c.verifyDiff(cmd.Context(), compare, args[0], args[1], code)
		},
	}
	compareFlags(cmd, &how)
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit 2 when there are differences")
	return cmd
}

func (c *command) verifyDiff(ctx context.Context, compare *diff.Comparer, was, is string, code bool) error {
	a, err := os.Open(was)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // it was read
	b, err := os.Open(is)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // the same
	board, err := offline.Compare(compare, time.Now(), offline.Named{Name: was, Reader: a}, offline.Named{Name: is, Reader: b}, func(p offline.Pair) error {
		if c.output == "jsonl" && len(p.Found.Differences) > 0 {
			if err := line(c.env.Stdout, p); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	})
	if err != nil {
		return &exit{code: exitFailed, err: err, hint: "semper verify diff --help"}
	}
	report := draw.Differences{Pairs: board.Pairs, Places: board.Places, Stale: compare.Stale()}
	if c.output != "jsonl" {
		var names []string
		for _, p := range board.Places {
			names = append(names, p.Path.String())
		}
		err = c.print(report, names, func(w io.Writer, p draw.Paint) { draw.Diff(w, p, report) })
	}
	if err == nil && code && len(board.Places) > 0 {
		err = &exit{code: exitChanges}
	}
	return err
}
