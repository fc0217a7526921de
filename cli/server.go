package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

// onServer marks a command of the server's side: it keeps its signals and takes no global client settings.
var onServer = map[string]string{"side": "server"}

func (c *command) serverCommand() *cobra.Command {
	return topic("server", "run, upgrade and stop the server", "  semper server run\n  semper server upgrade",
		c.runCommand("run", c.server.Run), c.upgradeCommand(), c.stopCommand())
}

// absent is what a command says that this binary was built without.
func absent(name string) error {
	return &semper.Error{Code: semper.Internal, Message: "this binary has no " + name, Hint: "use the whole semper binary"}
}

// runCommand is `server run`, and the hidden `keeper` it becomes: the same flags for both.
func (c *command) runCommand(use string, run func(context.Context, RunOptions) error) *cobra.Command {
	var o RunOptions
	cmd := &cobra.Command{
		Use: use, Short: "run the server of this machine",
		Long: `Run keeper, store, control, queue and edge on a data directory. SIGTERM ends the keeper and leaves everything it
runs to the next one, as systemctl restart needs it; Ctrl-C stops everything in order.

With --https, every host of a route has a certificate: from the pairs NAME.crt and NAME.key in DATA/tls, else from the
authority of --acme, else from one of this server's own, whose root is DATA/ca.crt. With --http3, clients may go on over
HTTP/3. docs/guides/https.md tells more of both. DATA/queue.yaml may name a NATS JetStream for jobs: docs/guides/queue-engines.md.`,
		Example:     "  semper server run\n  semper server run --http :80 --https :443 --http3 --acme letsencrypt --acme-email ops@example.com\n  semper server run --data /srv/semper --http :80 --https :443 --api 127.0.0.1:4000",
		Args:        cobra.NoArgs,
		Annotations: onServer,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if run == nil {
				return absent("server")
			}
			dir, err := filepath.Abs(o.Dir)
			if err != nil {
				return &semper.Error{Code: semper.Invalid, Message: "the data directory has no absolute path", Err: err}
			}
			if o.Edge.ACMERoots != "" {
				if o.Edge.ACMERoots, err = filepath.Abs(o.Edge.ACMERoots); err != nil {
					return &semper.Error{Code: semper.Invalid, Message: "--acme-roots has no absolute path", Err: err}
				}
			}
			if err := o.check(); err != nil {
				return err
			}
			o.Dir, o.Verbose = dir, c.verbose
			o.Args, o.EdgeArgs = o.flags(), o.Edge.flags()
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "data", defaultDir(os.Geteuid(), c.env.Getenv), "data directory")
	f.StringSliceVar(&o.HTTP, "http", []string{":8080"}, "public HTTP addresses")
	f.StringSliceVar(&o.HTTPS, "https", nil, "public HTTPS addresses")
	f.BoolVar(&o.HTTP3, "http3", false, "take HTTP/3 as well, at the addresses for HTTPS: the same ports of UDP")
	f.StringVar(&o.API, "api", "", "TCP address of the API and the page, besides DATA/api.sock (default: none)")
	edgeFlags(cmd, &o.Edge)
	f.BoolVar(&o.StopAll, "stop-all", false, "stop everything when the keeper is told to end")
	return cmd
}

// flags are o as the command line that gives o again.
func (o RunOptions) flags() []string {
	args := []string{"--data", o.Dir, "--http=" + strings.Join(o.HTTP, ",")}
	if len(o.HTTPS) > 0 {
		args = append(args, "--https="+strings.Join(o.HTTPS, ","))
	}
	if o.HTTP3 {
		args = append(args, "--http3")
	}
	if o.API != "" {
		args = append(args, "--api="+o.API)
	}
	args = append(args, o.Edge.flags()...)
	if o.StopAll {
		args = append(args, "--stop-all")
	}
	if o.Verbose {
		args = append(args, "--verbose")
	}
	return args
}

// partCommands are what the keeper executes; people never do.
func (c *command) partCommands() []*cobra.Command {
	keeper := c.runCommand("keeper", c.server.Keeper)
	keeper.Hidden = true
	cmds := []*cobra.Command{keeper}
	for _, kind := range []string{"store", "control"} {
		cmd := &cobra.Command{
			Use: kind, Short: "run this part of the server; the keeper does", Example: "  semper " + kind + " --data DIR --id " + kind + "-1",
			Hidden: true, Args: cobra.NoArgs, Annotations: onServer,
		}
		c.asPart(cmd, kind)
		cmds = append(cmds, cmd)
	}
	return cmds
}

// asPart makes cmd run a part of the server.
func (c *command) asPart(cmd *cobra.Command, kind string) {
	var o PartOptions
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if c.server.Part == nil {
			return absent(kind)
		}
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return &semper.Error{Code: semper.Invalid, Message: "the data directory has no absolute path", Err: err}
		}
		o.Dir, o.Verbose = dir, c.verbose
		return c.server.Part(cmd.Context(), kind, o)
	}
	cmd.Flags().StringVar(&o.Dir, "data", defaultDir(os.Geteuid(), c.env.Getenv), "data directory")
	cmd.Flags().StringVar(&o.ID, "id", kind+"-1", "name of this part")
	if kind == "edge" {
		edgeFlags(cmd, &o.Edge)
		cmd.Flags().IntVar(&o.HTTP3Slot, "http3-slot", 0, "which of the UDP sockets of an address is this edge's")
	}
}

func (c *command) upgradeCommand() *cobra.Command {
	var binary string
	cmd := &cobra.Command{
		Use: "upgrade", Short: "replace every part of the running server, without losing a request",
		Long: `Execute the keeper anew in place (pid, children and sockets stay), then replace store, edge, queue and control by
the same steps as a service's instances. Instances are not touched.`,
		Example: "  semper server upgrade --binary ./semper-new",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			if binary != "" {
				abs, err := filepath.Abs(binary)
				if err != nil {
					return &semper.Error{Code: semper.Invalid, Message: "the binary has no absolute path", Err: err}
				}
				binary = abs
			}
			steps, err := s.Upgrade(ctx, binary)
			if err != nil {
				return err
			}
			return c.upgrade(ctx, steps)
		}),
	}
	cmd.Flags().StringVar(&binary, "binary", "", "the new semper binary, on the server's machine (default: the one it runs)")
	return cmd
}

func (c *command) upgrade(ctx context.Context, steps <-chan api.UpgradeStep) error {
	p := c.paint(c.env.Stdout)
	var failed *api.UpgradeStep
	for st := range steps {
		if st.Error != "" {
			failed = &st
		}
		if c.output != "table" {
			if err := line(c.env.Stdout, st); err != nil {
				return err
			}
			continue
		}
		words := p.Good(st.Status)
		if st.Error != "" {
			words = p.Bad(st.Status + ": " + draw.OneLine(st.Error))
		}
		_, _ = fmt.Fprintf(c.env.Stdout, "%-8s %s %s\n", st.Part, words, p.Dim(draw.OneLine(st.Detail))) // nobody left to tell
	}
	if ctx.Err() != nil {
		return &exit{code: exitInterrupted, err: fmt.Errorf("interrupted: the upgrade goes on; semper tree and semper events tell")}
	}
	if failed != nil {
		return &semper.Error{Code: semper.Internal, Op: "upgrade", Message: failed.Part + ": " + failed.Error, Hint: "the part that ran before still runs; semper doctor"}
	}
	return nil
}

func (c *command) stopCommand() *cobra.Command {
	var dir string
	var leave bool
	cmd := &cobra.Command{
		Use: "stop", Short: "stop the server and, unless told otherwise, everything it runs",
		Example:     "  semper server stop\n  semper server stop --leave-running",
		Args:        cobra.NoArgs,
		Annotations: onServer,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.server.Stop == nil {
				return absent("server")
			}
			if !cmd.Flags().Changed("data") {
				if sock, ok := strings.CutPrefix(c.hostName(), "unix://"); ok {
					dir = filepath.Dir(sock)
				} else {
					return &semper.Error{Code: semper.Invalid, Message: "a server is stopped on its own machine only", Hint: "name its data directory with --data"}
				}
			}
			abs, err := filepath.Abs(dir)
			if err != nil {
				return &semper.Error{Code: semper.Invalid, Message: "the data directory has no absolute path", Err: err}
			}
			ok, err := c.confirmed(fmt.Sprintf("stop the server of %s?", abs))
			if err != nil {
				return err
			}
			if !ok {
				c.sayf("nothing was changed")
				return &exit{code: exitFailed}
			}
			ctx := c.interruptible(cmd.Context())
			if err := c.server.Stop(ctx, abs, !leave); err != nil {
				return err
			}
			return ended(ctx, abs)
		},
	}
	cmd.Flags().StringVar(&dir, "data", "", "data directory (default: the one of SEMPER_HOST)")
	cmd.Flags().BoolVar(&leave, "leave-running", false, "end the keeper only; parts and instances run on for the next one")
	return cmd
}

// ended returns when the keeper of dir has ended: it holds the directory's lock as long as it lives.
func ended(ctx context.Context, dir string) error {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return nil //nolint:nilerr // no lock: nobody holds it
	}
	done := make(chan error, 1)
	go func() { // ends with the keeper, or with this process
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
		for errors.Is(err, syscall.EINTR) {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
		}
		_ = f.Close() // only locked
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return &semper.Error{Code: semper.Internal, Op: "wait for the keeper's end", Err: err}
		}
		return nil
	case <-ctx.Done():
		return &exit{code: exitInterrupted, err: errors.New("interrupted: the server goes on stopping")}
	}
}

func (c *command) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "look for what is wrong with the server and its machine",
		Example: "  semper doctor",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			checks, err := s.Doctor(ctx)
			if err != nil {
				return err
			}
			failed := 0
			for _, ch := range checks {
				if ch.Status == "fail" {
					failed++
				}
			}
			err = printList(c, checks, func(ch api.Check) string { return ch.Name }, func(w io.Writer, p draw.Paint) {
				rows := draw.Grid{}
				for _, ch := range checks {
					m := map[string]string{"ok": p.Good("✓ ok"), "warn": p.Warn("! warn"), "fail": p.Bad("✗ fail")}[ch.Status]
					detail := draw.OneLine(ch.Detail)
					if ch.Hint != "" && ch.Status != "ok" {
						detail += p.Dim("  → " + draw.OneLine(ch.Hint))
					}
					rows.Row(m, ch.Name, detail)
				}
				rows.Write(w)
			})
			if err == nil && failed > 0 {
				return &exit{code: exitFailed, err: fmt.Errorf("%s failed", draw.Plural(failed, "check")), hint: "the lines above say what to do"}
			}
			return err
		}),
	}
}
