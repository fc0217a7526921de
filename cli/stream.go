package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func (c *command) eventsCommand() *cobra.Command {
	var follow bool
	var n int
	cmd := &cobra.Command{
		Use: "events", Short: "what happened, in order",
		Example: "  semper events -n 100\n  semper events -f -o jsonl",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			if n < 1 {
				n = 1
			}
			events, err := s.Events(ctx, c.app, -int64(n), follow)
			if err != nil {
				return err
			}
			if !follow && c.output != "table" {
				var all []semper.Event
				for e := range events {
					if c.wants(e) {
						all = append(all, e)
					}
				}
				return printList(c, all, func(e semper.Event) string { return fmt.Sprint(e.Seq) }, nil)
			}
			for e := range events {
				if !c.wants(e) {
					continue
				}
				if c.output != "table" {
					if err := line(c.env.Stdout, e); err != nil {
						return err
					}
					continue
				}
				c.printEvent(e)
			}
			return c.streamEnd(ctx, follow)
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "keep going until Ctrl-C")
	cmd.Flags().IntVarP(&n, "lines", "n", 50, "newest events to begin with")
	return cmd
}

func (c *command) wants(e semper.Event) bool {
	return c.environment == "" || e.Environment == "" || e.Environment == c.environment
}

// streamEnd is why a stream ended: on request, or because the server went and stayed away.
func (c *command) streamEnd(ctx context.Context, follow bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if follow {
		return &semper.Error{Code: semper.Unavailable, Message: "the stream ended: the server went away", Hint: "semper doctor"}
	}
	return nil
}

func (c *command) printEvent(e semper.Event) {
	p := c.paint(c.env.Stdout)
	kind := fmt.Sprintf("%-20s", e.Kind)
	if e.Crash != "" {
		kind = p.Bad(kind)
	}
	where := e.App
	if e.Environment != "" && e.Environment != semper.DefaultEnvironment {
		where += "/" + e.Environment
	}
	_, _ = fmt.Fprintf(c.env.Stdout, "%s  %s  %-10s %s\n", p.Dim(draw.Stamp(e.At)), kind, draw.OrDash(where), draw.OneLine(e.Message)) // nobody left to tell
}

func (c *command) logsCommand() *cobra.Command {
	var q api.LogQuery
	cmd := &cobra.Command{
		Use: "logs", Short: "what instances print",
		Example: "  semper logs -f\n  semper logs --service web --release r2 -n 20",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			q.App, q.Environment = c.app, c.environment
			if q.Instance != "" && !strings.Contains(q.Instance, "/") && c.app != "" {
				q.Instance = c.app + "/" + q.Instance
			}
			logs, err := s.Logs(ctx, q)
			if err != nil {
				return err
			}
			p := c.paint(c.env.Stdout)
			tty := c.env.IsTTY(c.env.Stdout)
			for l := range logs {
				if c.output != "table" {
					if err := line(c.env.Stdout, l); err != nil {
						return err
					}
					continue
				}
				text := l.Line
				if tty {
					text = draw.SafeLog(text)
				}
				_, short, _ := strings.Cut(string(l.Instance), "/")
				if _, err := fmt.Fprintf(c.env.Stdout, "%s %s\n", p.Dim(short+" │"), text); err != nil {
					return err
				}
			}
			return c.streamEnd(ctx, q.Follow)
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "keep going until Ctrl-C")
	f.IntVarP(&q.Tail, "lines", "n", 100, "last lines of each instance to begin with")
	f.StringVar(&q.Service, "service", "", "only this service")
	f.StringVar(&q.Instance, "instance", "", `only this instance ("web.r2.1")`)
	f.StringVar(&q.Release, "release", "", "only this release")
	return cmd
}
