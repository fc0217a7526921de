package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
)

func (c *command) routeCommand() *cobra.Command {
	return topic("route", "the hosts that edges answer for", "  semper route cert", c.routeCertCommand())
}

func (c *command) routeCertCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cert", Short: "the certificate of each host: where it comes from, until when, and what is wrong with it",
		Long: `Show the certificate of each host of a route. It comes from a file in DATA/tls, from the authority of --acme, or from
this server's own ("local"), which makes one whenever it is asked: clients trust those that trust DATA/ca.crt.`,
		Example: "  semper route cert\n  semper route cert -o json",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			l, err := s.Certificates(ctx)
			if err != nil {
				return err
			}
			return printList(c, l, func(x api.Certificate) string { return x.Host }, func(w io.Writer, p draw.Paint) {
				if len(l) == 0 {
					fmt.Fprintln(w, "no host has a certificate: semper server run --https ADDR serves HTTPS, for the hosts of routes")
					return
				}
				rows := draw.Grid{}
				rows.Row(p.Bold("host"), "from", "until", "")
				for _, x := range l {
					until := "made when asked for"
					switch {
					case !x.NotAfter.IsZero():
						until = draw.Clock(x.NotAfter)
					case x.Source == "":
						until = "-"
					}
					rows.Row(draw.Safe(x.Host), draw.OrDash(x.Source), until, certificateNote(x, p))
				}
				rows.Write(w)
			})
		}),
	}
}

// certificateNote is what is wrong with a certificate, and what to do.
func certificateNote(x api.Certificate, p draw.Paint) string {
	s := ""
	if x.Error != "" {
		s = p.Bad("✗ " + draw.OneLine(x.Error))
	}
	if x.Advice != "" {
		s += p.Dim("  → " + draw.OneLine(x.Advice))
	}
	if !x.Next.IsZero() {
		s += p.Dim("; tried again at " + draw.Clock(x.Next))
	}
	return s
}
