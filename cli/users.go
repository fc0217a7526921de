package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

func (c *command) userCommand() *cobra.Command {
	var role string
	var groups []string
	add := &cobra.Command{
		Use: "add NAME", Short: "give somebody a token for the API over TCP",
		Long: `The token is printed once and kept nowhere. Roles: viewer looks; deployer also moves releases, and says yes where a gate asks him; admin
also changes pipelines, leaves gates out, upgrades semper and adds users. Adding somebody who is there gives him another token.`,
		Example: "  semper user add olga --role deployer --group ops", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				u := api.User{Caller: api.Caller{Name: args[0], Role: api.Role(role), Groups: groups}}
				token, err := s.AddUser(ctx, u)
				if err != nil {
					return err
				}
				return c.print(map[string]string{"name": u.Name, "token": token}, []string{token}, func(w io.Writer, _ draw.Paint) {
					fmt.Fprintf(w, "%s is a %s. The token, which is shown only now:\n%s\n", u.Name, u.Role, token)
				})
			})
		},
	}
	add.Flags().StringVar(&role, "role", string(api.Viewer), "viewer, deployer or admin")
	add.Flags().StringSliceVar(&groups, "group", nil, "groups that gates may ask")
	list := &cobra.Command{
		Use: "list", Short: "list who may call over TCP", Example: "  semper user list", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.Users(ctx)
			if err != nil {
				return err
			}
			return printList(c, l, func(u api.User) string { return u.Name }, func(w io.Writer, p draw.Paint) {
				if len(l) == 0 {
					fmt.Fprintln(w, "no users: the server's own token and its socket are admins")
					return
				}
				rows := draw.Grid{}
				rows.Row(p.Bold("user"), "role", "groups", "added", "by")
				for _, u := range l {
					rows.Row(u.Name, string(u.Role), draw.OrDash(strings.Join(u.Groups, ", ")), draw.Clock(u.AddedAt), draw.OrDash(draw.Safe(u.AddedBy)))
				}
				rows.Write(w)
			})
		}),
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "take somebody his token", Example: "  semper user remove olga", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				if err := s.RemoveUser(ctx, args[0]); err != nil {
					return err
				}
				c.sayf("%s is removed", args[0])
				return nil
			})
		},
	}
	return topic("user", "say who may what over TCP", "  semper user add olga --role deployer --group ops\n  semper user list", add, list, remove)
}

func (c *command) attestationsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "attestations [RELEASE]", Short: "the signed statements about a release (what serves now when left out)",
		Long: `Each gate that a release has passed left a statement: in-toto, in a DSSE envelope, signed by this server's key over the digests of
artifact and configuration. -o json prints the envelopes, for other verifiers.`,
		Example: "  semper release attestations r42\n  semper release attestations r42 -o json", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error { return c.attestations(ctx, s, args) })
		},
	}
}

func (c *command) attestations(ctx context.Context, s *api.Client, args []string) error {
	app, release := c.app, semper.ReleaseName(strings.Join(args, ""))
	if release == "" {
		st, err := c.target(ctx, s)
		if err != nil {
			return err
		}
		app, release = st.App, st.Release
	}
	l, err := s.Attestations(ctx, app, release)
	if err != nil {
		return err
	}
	return printList(c, l, func(a api.Attestation) string { return a.Name }, func(w io.Writer, p draw.Paint) {
		if len(l) == 0 {
			fmt.Fprintf(w, "nothing is attested of %s\n", release)
			return
		}
		rows := draw.Grid{}
		rows.Row(p.Bold("gate"), "kind", "at", "by", "expires", "run", "key", "")
		for _, a := range l {
			expires, state := draw.OrDash(""), p.Good("counts")
			if !a.Expires.IsZero() {
				expires = draw.Clock(a.Expires)
			}
			if a.Invalid != "" {
				state = p.Bad(draw.OneLine(a.Invalid))
			}
			rows.Row(a.Environment+"/"+a.Gate, string(a.Kind), draw.Clock(a.At), draw.OrDash(draw.Safe(a.By)), expires, a.Run, fmt.Sprintf("%.12s", a.Key), state)
		}
		rows.Write(w)
	})
}
