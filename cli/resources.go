package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func (c *command) releaseCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "list releases, newest first", Example: "  semper release list", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.Releases(ctx, c.app)
			if err != nil {
				return err
			}
			return printList(c, l, func(r api.ReleaseInfo) string { return string(r.Name) }, func(w io.Writer, p draw.Paint) {
				rows := draw.Grid{}
				rows.Row(p.Bold("release"), "state", "artifact", "size", "stored", "created", "by")
				for _, r := range l {
					stored := "yes"
					if !r.Stored {
						stored = "no"
					}
					rows.Row(string(r.Name), draw.OrDash(r.State), r.Artifact.Short(), draw.Size(r.Size), stored, draw.Clock(r.CreatedAt), draw.OrDash(r.CreatedBy))
				}
				rows.Write(w)
			})
		}),
	}
	show := &cobra.Command{
		Use: "show RELEASE", Short: "show one release whole: artifact, configuration, spec", Example: "  semper release show r2", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				l, err := s.Releases(ctx, c.app)
				if err != nil {
					return err
				}
				i := slices.IndexFunc(l, func(r api.ReleaseInfo) bool { return string(r.Name) == args[0] })
				if i < 0 {
					return &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no release %q", args[0]), Hint: "semper release list"}
				}
				return c.print(l[i], []string{string(l[i].Name)}, func(w io.Writer, _ draw.Paint) { _ = toYAML(w, l[i]) })
			})
		},
	}
	diff := &cobra.Command{
		Use: "diff FROM [TO]", Short: "what differs between two releases (TO: what serves now)", Example: "  semper release diff r1 r2", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error { return c.diff(ctx, s, args) })
		},
	}
	return topic("release", "list, compare and remove releases", "  semper release list\n  semper release diff r1 r2", list, show, diff, c.attestationsCommand(), c.gcCommand())
}

func (c *command) diff(ctx context.Context, s *api.Client, args []string) error {
	from := semper.ReleaseName(args[0])
	var to semper.ReleaseName
	if len(args) == 2 {
		to = semper.ReleaseName(args[1])
	} else {
		st, err := c.target(ctx, s)
		if err != nil {
			return err
		}
		to = st.Release
	}
	d, err := s.ReleaseDiff(ctx, c.app, from, to)
	if err != nil {
		return err
	}
	if d.Changes == nil {
		d.Changes = []string{}
	}
	return c.print(d, d.Changes, func(w io.Writer, p draw.Paint) {
		fmt.Fprintf(w, "%s → %s\n", d.From, d.To)
		draw.Changes(w, p, d.Changes)
	})
}

func (c *command) gcCommand() *cobra.Command {
	var keep int
	var dryRun bool
	cmd := &cobra.Command{
		Use: "gc", Short: "remove the artifacts of old releases that nothing uses", Example: "  semper release gc --keep 5 --dry-run", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			rep, err := s.GC(ctx, c.app, keep, dryRun)
			if err != nil {
				return err
			}
			return c.print(rep, rep.Removed, func(w io.Writer, _ draw.Paint) {
				verb := "removed"
				if rep.DryRun {
					verb = "would remove"
				}
				fmt.Fprintf(w, "%s %s (%s), kept %d\n", verb, draw.Plural(len(rep.Removed), "artifact"), draw.Size(rep.Bytes), rep.Kept)
				for _, r := range rep.Removed {
					fmt.Fprintln(w, "  "+draw.Safe(r))
				}
			})
		}),
	}
	cmd.Flags().IntVar(&keep, "keep", 5, "newest releases to keep besides those in use")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed")
	return cmd
}

func (c *command) crashCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "list crash reports, newest first", Example: "  semper crash list", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.Crashes(ctx, c.app)
			if err != nil {
				return err
			}
			slices.SortStableFunc(l, func(a, b semper.CrashReport) int { return b.At.Compare(a.At) })
			return printList(c, l, func(r semper.CrashReport) string { return r.ID }, func(w io.Writer, p draw.Paint) {
				if len(l) == 0 {
					fmt.Fprintln(w, "no crash reports")
					return
				}
				rows := draw.Grid{}
				rows.Row(p.Bold("crash"), "at", "what", "reason", "uptime", "decision")
				for _, r := range l {
					rows.Row(r.ID, draw.Clock(r.At), draw.OneLine(what(r)), draw.OneLine(r.Reason.String()), draw.Span(r.Uptime.D()), draw.OneLine(r.Decision))
				}
				rows.Write(w)
			})
		}),
	}
	show := &cobra.Command{
		Use: "show ID|last", Short: "show all that is known about one end", Example: "  semper crash show c-17\n  semper crash show last", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				r, err := c.crash(ctx, s, args[0])
				if err != nil {
					return err
				}
				return c.print(r, []string{r.ID}, func(w io.Writer, p draw.Paint) { draw.Crash(w, p, r) })
			})
		},
	}
	return topic("crash", "why something ended", "  semper crash list\n  semper crash show last", list, show)
}

// what is short for what ended: an actor by its process and its path in that.
func what(r semper.CrashReport) string {
	if r.Actor == nil {
		return r.What
	}
	return r.What + " › " + cmp.Or(r.Actor.Path, r.Actor.Label, r.Actor.Process)
}

func (c *command) crash(ctx context.Context, s *api.Client, id string) (semper.CrashReport, error) {
	if id != "last" {
		return s.Crash(ctx, id)
	}
	l, err := s.Crashes(ctx, c.app)
	if err != nil {
		return semper.CrashReport{}, err
	}
	if len(l) == 0 {
		return semper.CrashReport{}, &semper.Error{Code: semper.NotFound, Message: "there are no crash reports", Hint: "that is good news"}
	}
	return slices.MaxFunc(l, func(a, b semper.CrashReport) int { return a.At.Compare(b.At) }), nil
}

func (c *command) secretCommand() *cobra.Command {
	var from string
	set := &cobra.Command{
		Use: "set NAME", Short: "set a secret; its value is read from stdin",
		Long: `Set a secret of an app. The value comes from stdin (asked for without echo on a terminal) or a file, never
from the command line; one newline at its end is left out. Releases made from now on use the new version.`,
		Example: "  semper secret set database_url -a bar < url.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := c.secretValue(from, args[0])
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				v, err := s.SetSecret(ctx, c.app, args[0], value, c.by())
				if err != nil {
					return err
				}
				out := struct {
					Name    string `json:"name"`
					Version int    `json:"version"`
				}{args[0], v}
				return c.print(out, []string{out.Name}, func(w io.Writer, _ draw.Paint) {
					fmt.Fprintf(w, "%s has version %d; the next deploy or restart uses it\n", out.Name, out.Version)
				})
			})
		},
	}
	set.Flags().StringVar(&from, "from", "", "file to read the value from")
	list := &cobra.Command{
		Use: "list", Short: "list the names of secrets", Example: "  semper secret list -a bar", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.Secrets(ctx, c.app)
			if err != nil {
				return err
			}
			return printList(c, l, func(n string) string { return n }, func(w io.Writer, _ draw.Paint) {
				for _, n := range l {
					fmt.Fprintln(w, n)
				}
			})
		}),
	}
	return topic("secret", "values that releases refer to by name", "  semper secret set database_url < url.txt", set, list)
}

func (c *command) secretValue(from, name string) ([]byte, error) {
	var b []byte
	var err error
	switch f, file := c.env.Stdin.(*os.File); {
	case from != "":
		b, err = os.ReadFile(from)
	case file && c.env.IsTTY(f) && !c.noInput:
		c.sayf("value of %s (not shown):", name)
		b, err = term.ReadPassword(int(f.Fd()))
	default:
		b, err = io.ReadAll(io.LimitReader(c.env.Stdin, 1<<20))
	}
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: "read secret", Err: err, Hint: "give the value on stdin, or with --from FILE"}
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return nil, &semper.Error{Code: semper.Invalid, Message: "the value is empty; nothing was changed", Hint: "give it on stdin, or with --from FILE"}
	}
	return b, nil
}

// readLine reads one line, byte by byte: what follows is not ours.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReaderSize(r, 16).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
