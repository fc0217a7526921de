package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func (c *command) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "what serves, what moves, every instance, what was lost",
		Long: `Show each environment as a tree. With -o json it is one object for one environment, and
{"environments": […]} for several.`,
		Example: "  semper status\n  semper status -w\n  semper status -a bar -o json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			if watch {
				return c.watch(ctx, s)
			}
			list, err := c.environments(ctx, s)
			if err != nil {
				return err
			}
			return c.printStatus(list)
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "keep showing it until Ctrl-C")
	return cmd
}

// environments are the ones meant by the flags.
func (c *command) environments(ctx context.Context, s *api.Client) ([]api.Status, error) {
	if c.app != "" {
		st, err := s.Status(ctx, c.app, c.environment)
		return []api.Status{st}, err
	}
	o, err := s.Overview(ctx)
	if err != nil {
		return nil, err
	}
	if c.environment == "" {
		return o.Environments, nil
	}
	list := slices.DeleteFunc(o.Environments, func(st api.Status) bool { return st.Environment != c.environment })
	if len(list) == 0 {
		return nil, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no app has an environment %q", c.environment)}
	}
	return list, nil
}

func (c *command) printStatus(list []api.Status) error {
	table := func(w io.Writer, p draw.Paint) {
		if len(list) == 0 {
			fmt.Fprintln(w, "nothing is deployed yet; semper deploy -f DIR deploys something")
		}
		for i, st := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			for _, l := range draw.Status(st, p, c.env.Now()) {
				fmt.Fprintln(w, l)
			}
		}
	}
	if c.output == "jsonl" {
		return printList(c, list, environmentName, table)
	}
	var names []string
	for _, st := range list {
		names = append(names, environmentName(st))
	}
	if len(list) == 1 {
		return c.print(list[0], names, table)
	}
	if list == nil {
		list = []api.Status{}
	}
	return c.print(api.Overview{Environments: list}, names, table)
}

func environmentName(st api.Status) string { return st.App + "/" + st.Environment }

// watch shows the status at each event: redrawn on a terminal, else a line per event, or a status per
// event in the machine forms.
func (c *command) watch(ctx context.Context, s *api.Client) error {
	events, err := s.Events(ctx, c.app, -1, true)
	if err != nil {
		return err
	}
	tty := c.output == "table" && c.env.IsTTY(c.env.Stdout) && c.env.Getenv("TERM") != "dumb"
	if !tty && c.output == "json" {
		c.output = "jsonl" // a stream of objects, one a line
	}
	sc := draw.Screen{W: c.env.Stdout, Size: c.env.Size}
	p := c.paint(c.env.Stdout)
	show := func() error {
		list, err := c.environments(ctx, s)
		if err != nil {
			return err
		}
		if !tty {
			return c.printStatus(list)
		}
		var block []string
		for _, st := range list {
			block = append(block, draw.Status(st, p, c.env.Now())...)
		}
		sc.Draw(block)
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	err = show()
	for err == nil {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				return context.Cause(ctx)
			case !tty && c.output == "table":
				c.printEvent(e)
			default:
				err = show()
			}
		case <-tick.C:
			if tty {
				err = show()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return err
}

func (c *command) ledgerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ledger", Short: "requests per release: accepted, served, retried, held, shed, cut",
		Example: "  semper ledger\n  semper ledger -a bar -o json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			st, err := s.Status(ctx, c.app, c.environment)
			if err != nil {
				return err
			}
			if st.Ledger == nil {
				st.Ledger = map[semper.ReleaseName]semper.Ledger{}
			}
			var names []string
			for _, n := range draw.NewestFirst(st.Ledger) {
				names = append(names, string(n))
			}
			return c.print(st.Ledger, names, func(w io.Writer, p draw.Paint) {
				draw.Ledger(w, p, st.Ledger)
			})
		}),
	}
}

func (c *command) treeCommand() *cobra.Command {
	var depth int
	cmd := &cobra.Command{
		Use: "tree", Short: "the supervision tree: the machine, semper's own processes, every instance, and the actors in them",
		Long: `Show one tree: the machine, the keeper, its supervisors and processes, and below a process what its program tells of
itself, if it uses the package actor/observer. Long lists of a program are cut short, those in trouble first; with
-o json they are whole.`,
		Example: "  semper tree\n  semper tree --depth 4\n  semper tree --json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			n, err := s.Tree(ctx)
			if err != nil {
				return err
			}
			return c.print(n, treeNames(n), func(w io.Writer, p draw.Paint) {
				for _, l := range draw.Tree(n, p, c.env.Now(), depth) {
					fmt.Fprintln(w, l)
				}
			})
		}),
	}
	cmd.Flags().IntVar(&depth, "depth", 0, "how many levels to draw; 0 is all")
	return cmd
}

// treeNames go as deep as the processes: the names inside programs mean nothing to other commands.
func treeNames(n api.TreeNode) []string {
	out := []string{n.Name}
	if n.Kind == api.NodeProcess {
		return out
	}
	for _, child := range n.Children {
		out = append(out, treeNames(child)...)
	}
	return out
}
