package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/manual"
)

// command is one command line being run.
type command struct {
	env    Env
	server ServerCommands
	ran    bool   // arguments were right and the work began
	done   func() // gives back what interruptible took

	// Global flags.
	app, environment, host  string
	output, progress, color string
	json, quiet, verbose    bool
	yes, noInput            bool
	timeout                 time.Duration
}

var (
	outputs    = []string{"table", "json", "jsonl", "yaml", "name"}
	progresses = []string{"auto", "tty", "plain", "json", "quiet"}
	colors     = []string{"auto", "always", "never"}
)

var plurals = map[string]string{"pipeline": "pipelines", "queue": "queues", "task": "tasks", "cron": "crons", "user": "users", "release": "releases", "crash": "crashes", "secret": "secrets", "config": "configs", "server": "servers"}

const about = `semper runs services as immutable releases under supervision trees and moves production
atomically from one vetted release to the next.

Start a server with "semper server run", then "semper deploy" in a directory with a
semper.yaml or a Procfile.`

const exitCodes = `Exit codes: 0 done, 1 failed, 2 changes present (plan --exit-code), 3 new release rejected and the
old one serves, 4 no permission, 6 conflict, 7 timed out, 8 waits for a person, 64 usage,
65 configuration invalid, 130 interrupted.

Environment: SEMPER_HOST, SEMPER_TOKEN, SEMPER_CA, SEMPER_APP, SEMPER_ENV, SEMPER_PROGRESS, NO_COLOR,
CLICOLOR_FORCE.`

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use: "semper", Short: "deploy releases that never lose a request", Long: about + "\n\n" + exitCodes,
		Example:       "  semper server run &\n  semper init && semper deploy\n  semper status -w",
		Version:       semper.Version,
		SilenceErrors: true, SilenceUsage: true,
		Args: subcommandOnly, RunE: help,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.check(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVarP(&c.app, "app", "a", c.env.Getenv("SEMPER_APP"), "app; may be left out where there is only one")
	f.StringVarP(&c.environment, "env", "e", c.env.Getenv("SEMPER_ENV"), `environment (default "production")`)
	f.StringVarP(&c.output, "output", "o", "table", strings.Join(outputs, ", "))
	f.BoolVar(&c.json, "json", false, "the same as -o json")
	f.StringVar(&c.progress, "progress", cmp.Or(c.env.Getenv("SEMPER_PROGRESS"), "auto"), strings.Join(progresses, ", "))
	f.StringVar(&c.color, "color", "auto", strings.Join(colors, ", "))
	f.BoolVarP(&c.quiet, "quiet", "q", false, "say nothing but data and errors")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say more")
	f.BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&c.noInput, "no-input", false, "never ask; go on as without a terminal")
	f.DurationVar(&c.timeout, "timeout", 0, "give up waiting after this long (default: never)")
	f.StringVar(&c.host, "host", "", "server (default $SEMPER_HOST, else unix://DATA/api.sock)")
	root.AddGroup(
		&cobra.Group{ID: "daily", Title: "Daily:"}, &cobra.Group{ID: "resources", Title: "Resources:"},
		&cobra.Group{ID: "operate", Title: "Operate:"}, &cobra.Group{ID: "tools", Title: "Tools:"},
	)
	group := func(id string, list ...*cobra.Command) {
		for _, cmd := range list {
			cmd.GroupID = id
			root.AddCommand(cmd)
		}
	}
	tasks := c.taskShell()
	group("daily", c.initCommand(), c.planCommand(), c.deployCommand(), c.statusCommand(), c.logsCommand(), tasks.Run(),
		c.promoteCommand(), c.abortCommand(), c.rollbackCommand(), c.scaleCommand(), c.restartCommand(), c.holdCommand(), c.pauseCommand(), c.resumeCommand())
	group("resources", c.releaseCommand(), c.treeCommand(), c.crashCommand(), c.eventsCommand(), c.ledgerCommand(), c.trafficCommand(), c.routeCommand(), c.verifyCommand(), c.pipelineCommand(), c.experimentCommand(), c.queueCommand(), tasks.Task(), tasks.Cron(), c.secretCommand(), c.userCommand(), c.configCommand())
	group("operate", c.serverCommand(), c.edgeCommand(), c.doctorCommand())
	group("tools", c.versionCommand(), manual.Man(c.env.Stdout), manual.Completion(c.env.Stdout))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommandGroupID("tools")
	root.AddCommand(c.partCommands()...)
	for _, cmd := range []*cobra.Command{c.pipelineCommand(), c.queueCommand(), tasks.Task(), tasks.Cron(), c.userCommand(), c.releaseCommand(), c.crashCommand(), c.secretCommand(), c.configCommand(), c.serverCommand()} {
		cmd.Use, cmd.Hidden = plurals[cmd.Use], true // who says "semper releases list" is understood
		root.AddCommand(cmd)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return err })
	return root
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// subcommandOnly refuses a word that is no subcommand and says which were near.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("%s", msg)
}

// topic is a command that only holds others.
func topic(use, short, example string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: subcommandOnly, RunE: help}
	cmd.AddCommand(subs...)
	return cmd
}

// check the global flags; what is wrong here is still usage.
func (c *command) check(cmd *cobra.Command) error {
	if c.json {
		c.output = "json"
	}
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{{"output", c.output, outputs}, {"progress", c.progress, progresses}, {"color", c.color, colors}} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("--%s %q: it is one of %s", f.name, f.value, strings.Join(f.allowed, ", "))
		}
	}
	if c.timeout < 0 {
		return fmt.Errorf("--timeout %s: it cannot be negative", c.timeout)
	}
	if c.quiet {
		c.progress = "quiet"
	}
	c.ran = true
	if cmd.Annotations["side"] != "server" {
		cmd.SetContext(c.interruptible(cmd.Context()))
	}
	return nil
}

// hostName is the server's address.
func (c *command) hostName() string {
	return cmp.Or(c.host, c.env.Getenv("SEMPER_HOST"), "unix://"+defaultDir(os.Geteuid(), c.env.Getenv)+"/api.sock")
}

// connect gives a client of the server. Nothing is sent yet.
func (c *command) connect() (*api.Client, error) {
	return api.NewClient(c.hostName(), api.ClientOptions{
		Token: c.env.Getenv("SEMPER_TOKEN"), CAFile: c.env.Getenv("SEMPER_CA"),
		Waiting: func(why error) {
			if !c.quiet {
				c.sayf("waiting for the server: %v", why)
			}
		},
	})
}

// ask runs do with a client of the server.
func (c *command) ask(do func(ctx context.Context, s *api.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error { return c.with(cmd.Context(), do) }
}

func (c *command) with(ctx context.Context, do func(ctx context.Context, s *api.Client) error) error {
	s, err := c.connect()
	if err != nil {
		return err
	}
	defer s.Close()
	return do(ctx, s)
}

// by names who asks, for the record.
func (c *command) by() string {
	who := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	who = cmp.Or(c.env.Getenv("USER"), c.env.Getenv("LOGNAME"), who)
	if host, err := os.Hostname(); err == nil {
		who += "@" + host
	}
	return who
}

// interactive: there is somebody to ask, who wants to be asked.
func (c *command) interactive() bool {
	return !c.yes && !c.noInput && c.env.IsTTY(c.env.Stdin) && c.env.IsTTY(c.env.Stderr)
}

// confirmed asks, where there is somebody to ask.
func (c *command) confirmed(question string) (bool, error) {
	if !c.interactive() {
		return true, nil
	}
	_, _ = fmt.Fprintf(c.env.Stderr, "%s [y/N] ", question) // nobody left to ask
	line, err := readLine(c.env.Stdin)
	if err != nil {
		return false, &semper.Error{Code: semper.Invalid, Message: "the answer could not be read", Err: err, Hint: "-y goes on without asking"}
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
