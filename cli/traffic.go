package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
)

func (c *command) trafficCommand() *cobra.Command {
	return topic("traffic", "what edges do now", "  semper traffic show", c.trafficShowCommand())
}

func (c *command) trafficShowCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use: "show", Short: "requests per second, statuses and latencies, per route and release",
		Long: `Show what all edges do together. On a terminal it is drawn again every second until Ctrl-C; elsewhere, and with --once
or another output than a table, it is shown once.

Rates are over the last 1, 10 and 60 seconds. Statuses, latencies (p50, p95, p99, as clients saw them; of event
streams and WebSockets until they began) and the counts behind them are of the last 10 seconds: retry is tried again
at another instance, held let go after a hold, shed refused to protect the rest, err a try at an instance that brought
no answer. While a service is on trial, a release is shown by arm: stable, candidate, baseline, and tester for requests
that come to the candidate whatever its share is.`,
		Example: "  semper traffic show\n  semper traffic show -a bar -e beta\n  semper traffic show -a bar --json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			if !once && c.output == "table" && c.env.IsTTY(c.env.Stdout) && c.env.Getenv("TERM") != "dumb" {
				return c.watchTraffic(ctx, s)
			}
			t, err := s.Traffic(ctx, c.app, c.environment)
			if err != nil {
				return err
			}
			if c.output == "jsonl" {
				return printList(c, t.Rows, trafficName, func(io.Writer, draw.Paint) {})
			}
			var names []string
			for _, r := range t.Rows {
				names = append(names, trafficName(r))
			}
			return c.print(t, names, func(w io.Writer, p draw.Paint) {
				for _, l := range draw.Traffic(t, p) {
					fmt.Fprintln(w, l)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&once, "once", false, "show it once, on a terminal too")
	return cmd
}

// trafficName is a row's release, as other commands take it apart from its app.
func trafficName(r api.TrafficRow) string {
	return r.App + "/" + r.Environment + "/" + r.Service + "/" + string(r.Release)
}

// watchTraffic draws what edges do, every second until ctx ends.
func (c *command) watchTraffic(ctx context.Context, s *api.Client) error {
	sc := draw.Screen{W: c.env.Stdout, Size: c.env.Size}
	p := c.paint(c.env.Stdout)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		t, err := s.Traffic(ctx, c.app, c.environment)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		sc.Draw(draw.Traffic(t, p))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
