package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"semper/cli/draw"
	"semper/cli/recorded"
	"semper/verify"
	"semper/verify/replay"
)

func (c *command) verifyReplayCommand() *cobra.Command {
	var r recorded.Replay
	var code bool
	cmd := &cobra.Command{
		Use: "replay FILE --against URL", Short: "send recorded requests to a candidate and compare its responses",
		Long: `Send the requests of a recording to a candidate, and compare its responses with those of the baseline, or else with those that were
recorded. The baseline is asked at the same moment, and twice: where its own two answers differ there is noise, and only what is more than
that is told as different. Without --baseline every difference is told, and none is proven.

FILE is a HAR file (1.2), a .gor file of GoReplay, or lines of JSON as semper verify diff reads them, with the request; each may be
compressed with gzip. Requests keep their Host and their fields, and carry Semper-Replay: 1. They go to the URLs given here and nowhere
else. Of methods only GET, HEAD, OPTIONS and TRACE are sent, until --methods all.

Exit codes: 0 not worse (or not yet known), 3 worse, 2 with --exit-code when anything differs. docs/guides/judge.md tells the rest.`,
		Example: "  semper verify replay shop.har --against http://127.0.0.1:8081 --baseline http://127.0.0.1:8080\n" +
			"  semper verify replay monday.gor.gz --against http://127.0.0.1:8081 --speed 2x --rules expected.json\n" +
			"  semper verify replay shop.har --against http://127.0.0.1:8081 --exit-code -o json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.Parse(); err != nil {
				return &exit{code: exitUsage, err: err, hint: "semper verify replay --help"}
			}
			return c.verifyReplay(cmd.Context(), &r, args[0], code)
		},
	}
	compareFlags(cmd, &r.Comparison)
	f := cmd.Flags()
	f.StringVar(&r.Against, "against", "", "where the candidate is asked, like http://127.0.0.1:8081")
	f.StringVar(&r.Baseline, "baseline", "", "where the release in production, or a copy of it, is asked the same")
	f.StringVar(&r.Copy, "copy", "", "where it is asked a second time, to tell noise (default the baseline, for methods that are safe)")
	f.Float64Var(&r.Options.Pace.Rate, "rate", 0, "requests in each second (default as fast as they are answered)")
	f.StringVar(&r.Speed, "speed", "", "how many times as fast as it was recorded, like 2x")
	f.IntVar(&r.Options.Concurrency, "concurrency", replay.DefaultConcurrency, "requests in hand at once")
	f.DurationVar(&r.Options.Timeout, "timeout", replay.DefaultTimeout, "how long one request may take, with its response")
	f.StringVar(&r.Methods, "methods", "safe", "safe: those that change nothing; all: POST and the others too")
	f.Int64Var(&r.Options.Limit, "limit", 0, "how many requests are sent at most (default all)")
	f.StringArrayVar(&r.Header, "header", nil, "a field to set on every request, like 'Authorization: Bearer test'; 'Cookie:' takes one out")
	f.BoolVar(&r.Options.RecordedHost, "recorded-host", false, "allow a URL that is the one the requests were recorded at")
	f.Int64Var(&r.Need, "min-requests", 100, "how many pairs of responses there must be before nothing speaks against the candidate")
	f.BoolVar(&code, "exit-code", false, "exit 2 when anything differs that no rule expects")
	return cmd
}

// verifyReplay replays a file, shows what goes on, and then what came of it.
func (c *command) verifyReplay(ctx context.Context, r *recorded.Replay, path string, code bool) error {
	r.Options.Tell = func(p replay.Pair) error {
		if c.output == "jsonl" && len(p.Found.Differences) > 0 {
			return line(c.env.Stdout, p)
		}
		return nil
	}
	leave := func() {}
	if !c.quiet && c.progress != "quiet" && c.progress != "json" {
		live := c.progress == "tty" || c.progress == "auto" && c.env.IsTTY(c.env.Stderr) && c.env.Getenv("TERM") != "dumb" && c.env.Getenv("CI") == ""
		leave = recorded.Progress{W: c.env.Stderr, Live: live, Size: c.env.Size, Now: c.env.Now, Paint: c.paint(c.env.Stderr)}.Show(&r.Options)
	}
	shown, sent, err := r.Run(ctx, path, c.env.Now)
	leave()
	if sent {
		var printed error
		if c.output == "jsonl" {
			printed = line(c.env.Stdout, shown)
		} else {
			printed = c.print(shown, []string{string(shown.Verdict.Outcome)}, func(w io.Writer, p draw.Paint) { draw.Replay(w, p, shown) })
		}
		err = errors.Join(err, printed)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, replay.ErrRecordedHost):
		return &exit{code: exitFailed, err: err, hint: "--recorded-host allows it"}
	case err != nil:
		return &exit{code: exitFailed, err: err, hint: "semper verify replay --help"}
	case shown.Verdict.Outcome == verify.Worse:
		return &exit{code: exitRejected}
	case code && len(shown.Board.Places) > 0:
		return &exit{code: exitChanges}
	}
	return nil
}
