package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
)

// keyCommand is about the keys that sign statements.
func (c *command) keyCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "list the keys that sign statements, and those that did", Example: "  semper pipeline key list\n  semper pipeline key list -o json   # with the public halves, for other verifiers", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.SigningKeys(ctx)
			if err != nil {
				return err
			}
			return printList(c, l, func(k api.SigningKey) string { return k.ID }, func(w io.Writer, p draw.Paint) { draw.Keys(w, p, l) })
		}),
	}
	rotate := &cobra.Command{
		Use: "rotate", Short: "sign with another key from now on",
		Long:    "What was signed before stays good. An admin may do it, and it is an event.",
		Example: "  semper pipeline key rotate", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			k, err := s.RotateKey(ctx)
			return c.printKey(k, err)
		}),
	}
	var why string
	revoke := &cobra.Command{
		Use: "revoke KEY", Short: "have nothing count any more that a key has signed",
		Long: `Whenever it was signed. What is live stays live, and can be gone back to; what is on its way has to pass its gates again: semper pipeline run.
KEY is its id, or eight digits of it or more. The key that signs now is rotated before. An admin may do it, and it is an event.`,
		Example: "  semper pipeline key revoke 3f2a9c01 --why \"a backup was lost\"", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				k, err := s.RevokeKey(ctx, args[0], why)
				return c.printKey(k, err)
			})
		},
	}
	revoke.Flags().StringVar(&why, "why", "", "why, for the record")
	return topic("key", "look after the keys that sign statements", "  semper pipeline key list\n  semper pipeline key rotate\n  semper pipeline key revoke 3f2a9c01 --why \"a backup was lost\"", list, rotate, revoke)
}

func (c *command) printKey(k api.SigningKey, err error) error {
	if err != nil {
		return err
	}
	return c.print(k, []string{k.ID}, func(w io.Writer, _ draw.Paint) {
		switch k.State {
		case api.KeySigns:
			fmt.Fprintf(w, "generation %d signs from now on: key %.12s\n", k.Generation, k.ID)
		default:
			fmt.Fprintf(w, "key %.12s is %s\n", k.ID, k.State)
		}
	})
}
