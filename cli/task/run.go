package task

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/task"
)

// A Shell is what the commands use of the command line that they are in. Its functions are called while a command runs, when flags have their
// values, but for Topic. All are set.
type Shell struct {
	Topic func(use, short, example string, subs ...*cobra.Command) *cobra.Command
	// App and Environment are whose tasks they are; empty: of the only app, or of any.
	App, Environment func() string
	By               func() string // who asks, for the record
	// With has a client of the server for as long as do takes.
	With func(ctx context.Context, do func(context.Context, *api.Client) error) error
	Sayf func(format string, args ...any)
	// Print and PrintList write values as --output says: names for -o name, table what a person reads.
	Print          func(value any, names []string, table func(io.Writer, draw.Paint)) error
	PrintList      func(list []any, names []string, table func(io.Writer, draw.Paint)) error
	Stdout, Stderr io.Writer
	Chatty         func() bool // a person looks on who wants to be told
	// Exit is an error that makes that the exit code; a nil err is not told.
	Exit func(code int, err error) error
	Now  func() time.Time
}

// Exit codes of semper run, beside those of the command itself. They are those of timeout(1) and of shells.
const (
	exitDeadline    = 124 // it did not end within its deadline
	exitNotRun      = 125 // semper could not run it, or does not know how it ended
	exitInterrupted = 130 // Ctrl-C, or somebody stopped it
	exitSignal      = 128 // and the number of the signal that ended it
)

// Run is the command that runs a command in the release that serves.
func (c *Shell) Run() *cobra.Command {
	var r api.TaskRequest
	var detach bool
	var deadline time.Duration
	cmd := &cobra.Command{
		Use: "run [--service SERVICE] [-- COMMAND...]", Short: "run a command once in the release that serves",
		Long: `Run a command once, as a task: in the artifact of the release that serves, with the environment variables, secrets, user and limits of a
service, on the server. Without a COMMAND it is the own command of a service of type task or cron. What it prints comes as it is, standard
output and standard error apart; it has no standard input. Ctrl-C ends it; --detach leaves it to the server, as does a connection that breaks.

Without --service the environment is that of the one web service, or of the only service.

The exit code is the command's own. Besides: 124 it did not end within --timeout, 125 semper could not run it, 128+N signal N ended it,
130 it was interrupted or stopped. How it ended is kept: semper task show.`,
		Example: "  semper run -- ./manage users --inactive\n  semper run --service report\n  semper run --timeout 10m -- ./export > export.csv\n  semper run --detach -- ./reindex && semper task list",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && cmd.ArgsLenAtDash() != 0:
				return fmt.Errorf("%q: write -- before the command: semper run -- %s", args[0], strings.Join(args, " "))
			case deadline < 0:
				return fmt.Errorf("--timeout %s: it cannot be negative", deadline)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.App, r.Environment, r.Command, r.Deadline, r.By = c.App(), c.Environment(), args, semper.Duration(deadline), c.By()
			return c.run(cmd.Context(), r, detach)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&r.Service, "service", "s", "", "whose environment and command it has")
	f.DurationVar(&deadline, "timeout", 0, "end it after this long (default: the service's deadline, or 24h)")
	f.BoolVarP(&detach, "detach", "d", false, "do not wait for it")
	return cmd
}

// run begins a task and follows it to its end. What keeps semper from it has an exit code that no command has by custom.
func (c *Shell) run(ctx context.Context, r api.TaskRequest, detach bool) error {
	var t task.Task
	err := c.With(ctx, func(ctx context.Context, s *api.Client) (err error) {
		if t, err = s.BeginTask(ctx, r); err != nil {
			return err
		}
		if detach {
			return c.Print(t, []string{t.ID}, func(w io.Writer, _ draw.Paint) {
				fmt.Fprintf(w, "%s runs beside you: semper task logs -f %s\n", t.ID, t.ID)
			})
		}
		switch {
		case t.State == task.Queued:
			c.Sayf("%s waits for %s", t.ID, draw.OneLine(t.Why))
		case c.Chatty():
			c.Sayf("%s runs in %s; Ctrl-C ends it", t.ID, t.Release)
		}
		t, err = c.attend(ctx, s, t.ID)
		return err
	})
	if err != nil {
		return c.Exit(exitNotRun, err)
	}
	if detach || t.State == task.Done {
		return nil
	}
	return c.Exit(codeOf(t), &semper.Error{Message: ending(t), Hint: "semper task show " + t.ID + " has all that is known of it"})
}

// attend follows a task to its end. The end of ctx, which is Ctrl-C, is the task's.
func (c *Shell) attend(ctx context.Context, s *api.Client, id string) (task.Task, error) {
	var from api.TaskOffsets
	t, err := c.follow(ctx, s, id, &from)
	if ctx.Err() == nil {
		return t, err
	}
	ctx = context.WithoutCancel(ctx) // the next Ctrl-C ends the process
	if _, err := s.EndTask(ctx, id, c.By(), "interrupted"); err != nil {
		return t, err
	}
	c.Sayf("%s is told to end; Ctrl-C again leaves it to that", id)
	return c.follow(ctx, s, id, &from)
}

// follow writes what a task prints until it has ended, and says how.
func (c *Shell) follow(ctx context.Context, s *api.Client, id string, from *api.TaskOffsets) (task.Task, error) {
	ch, err := s.TaskOutput(ctx, id, *from, true)
	if err == nil {
		err = c.write(ch, from)
	}
	if err != nil && semper.CodeOf(err) != semper.NotFound { // of one that never began there is none
		return task.Task{}, err
	}
	t, err := s.Task(ctx, id)
	if err == nil && !t.State.Ended() {
		err = &semper.Error{Code: semper.Unavailable, Message: "the server went away while " + id + " ran; it goes on", Hint: "semper task show " + id}
	}
	return t, err
}

// write puts pieces of output where they belong.
func (c *Shell) write(ch <-chan api.TaskOutput, from *api.TaskOffsets) error {
	for o := range ch {
		w, at := c.Stdout, &from.Out
		if o.Stderr {
			w, at = c.Stderr, &from.Err
		}
		if _, err := w.Write(o.Data); err != nil {
			return err
		}
		*at = o.End
	}
	return nil
}

// codeOf is the exit code that says how t ended.
func codeOf(t task.Task) int {
	if t.State == task.Done {
		return 0
	}
	if t.State == task.Stopped {
		return exitInterrupted
	}
	if t.End == nil {
		return exitNotRun
	}
	switch r := t.End.Reason; r.Kind {
	case semper.ReasonExit:
		return r.Code
	case semper.ReasonDeadline:
		return exitDeadline
	case semper.ReasonSignal:
		return exitSignal + int(unix.SignalNum(r.Signal))
	case semper.ReasonOOM, semper.ReasonKilled:
		return exitSignal + int(unix.SIGKILL)
	}
	return exitNotRun
}

// ending is how t ended in a line.
func ending(t task.Task) string {
	s := t.ID + " " + t.State.Verb()
	if took := t.Took(); took > 0 {
		s += " after " + draw.Span(took)
	}
	if why := cmp.Or(t.Why, endOf(t)); why != "" {
		s += ": " + draw.OneLine(why)
	}
	return s
}

func endOf(t task.Task) string {
	if t.End != nil {
		return t.End.Reason.String()
	}
	return ""
}
