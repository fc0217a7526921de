package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"semper"
)

// edgeCommand holds what an edge does alone. Executed with --id it is a part of the server, as the keeper wants it.
func (c *command) edgeCommand() *cobra.Command {
	cmd := topic("edge", "run the edge alone, as a proxy by a file of routes", "  semper edge run --routes edge.yaml\n  semper edge check --routes edge.yaml",
		c.edgeRunCommand(), c.edgeCheckCommand())
	cmd.Annotations = onServer
	c.asPart(cmd, "edge")
	part := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("id") {
			return help(cmd, args)
		}
		return part(cmd, args)
	}
	for _, flag := range append([]string{"data", "id", "http3-slot"}, edgeFlagNames...) { // they are the keeper's
		if err := cmd.Flags().MarkHidden(flag); err != nil {
			panic(err) // asPart has made them
		}
	}
	return cmd
}

func (c *command) edgeRunCommand() *cobra.Command {
	var o EdgeOptions
	cmd := &cobra.Command{
		Use: "run", Short: "serve by a file of routes",
		Long: `Serve by a file of routes, with nothing else of semper: a proxy in its own right. docs/guides/edge-alone.md tells what
the file can say.

Signals: HUP reads the file again, and what is wrong with it changes nothing. USR1 opens the access log anew. USR2 starts the
program anew on the same sockets, and ends this one when it is ready: no connection is refused. TERM and Ctrl-C finish what is
in flight; the second one cuts it.`,
		Example: "  semper edge run --routes edge.yaml\n  semper edge run --routes edge.yaml --http :8080 --https :8443 --driver goroutine",
		Args:    cobra.NoArgs, Annotations: onServer,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runEdge(cmd.Context(), o, false) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.HTTP, "http", nil, "addresses for HTTP, beside those of the file")
	f.StringSliceVar(&o.HTTPS, "https", nil, "addresses for HTTPS, beside those of the file")
	f.BoolVar(&o.HTTP3, "http3", false, "take HTTP/3 as well, at the addresses for HTTPS")
	f.StringVar(&o.Metrics, "metrics", "", "address to serve metrics at, as http://ADDRESS/metrics, instead of the file's")
	f.StringVar(&o.Driver, "driver", EdgeDrivers[0], "what carries plaintext connections: "+strings.Join(EdgeDrivers, ", "))
	f.StringVar(&o.Dir, "data", filepath.Join(defaultDir(os.Geteuid(), c.env.Getenv), "edge-alone"), "directory for certificates and keys that are made")
	routesFlag(cmd, &o.Routes)
	return cmd
}

func (c *command) edgeCheckCommand() *cobra.Command {
	var o EdgeOptions
	cmd := &cobra.Command{
		Use: "check", Short: "look whether a file of routes can be served",
		Long:    "Read a file of routes and what it names, say what is wrong with it, and change nothing.",
		Example: "  semper edge check --routes edge.yaml && systemctl reload edge",
		Args:    cobra.NoArgs, Annotations: onServer,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runEdge(cmd.Context(), o, true) },
	}
	cmd.Flags().StringSliceVar(&o.HTTP, "http", nil, "as it is run with")
	cmd.Flags().StringSliceVar(&o.HTTPS, "https", nil, "as it is run with")
	routesFlag(cmd, &o.Routes)
	o.Driver = EdgeDrivers[0]
	return cmd
}

func routesFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "routes", "", "the file of routes (required)")
	if err := cmd.MarkFlagFilename("routes", "yaml", "yml"); err != nil {
		panic(err) // it was made one line above
	}
}

func (c *command) runEdge(ctx context.Context, o EdgeOptions, check bool) error {
	switch {
	case c.server.Edge == nil:
		return absent("edge")
	case o.Routes == "":
		return &exit{code: exitUsage, err: errors.New("--routes is missing: the file that says what goes where"), hint: "semper edge run --help"}
	case !slices.Contains(EdgeDrivers, o.Driver):
		return &exit{code: exitUsage, err: fmt.Errorf("--driver %q: it is one of %s", o.Driver, strings.Join(EdgeDrivers, ", ")), hint: "semper edge run --help"}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return &semper.Error{Code: semper.Invalid, Message: "the data directory has no absolute path", Err: err}
	}
	o.Dir, o.Verbose = dir, c.verbose
	if err := c.server.Edge(ctx, o, check); err != nil {
		return err
	}
	if check && !c.quiet {
		c.sayf("%s can be served", o.Routes)
	}
	return nil
}
