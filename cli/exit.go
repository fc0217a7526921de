package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"semper"
	"semper/cli/draw"
	"semper/internal/config"
	"semper/internal/strict"
)

// Exit codes. They are part of the interface: documented, tested, never reused.
const (
	exitOK          = 0
	exitFailed      = 1
	exitChanges     = 2   // plan --exit-code found changes
	exitRejected    = 3   // the new release was refused or turned back; the old one still serves
	exitForbidden   = 4   // authentication or permission
	exitConflict    = 6   // stale plan, or another rollout holds the environment
	exitTimeout     = 7   // timed out waiting
	exitPending     = 8   // waits for a person
	exitUsage       = 64  // the command line is wrong
	exitConfig      = 65  // semper.yaml is wrong
	exitInterrupted = 130 // Ctrl-C
)

// exit is an error that knows its code, and what it has left to say.
type exit struct {
	code  int
	err   error // printed after "error: "; nil prints nothing
	hint  string
	block []string // printed as they are between error and hint
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// codeOf is the exit code for an error.
func codeOf(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exit](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*config.Errors](err); ok {
		return exitConfig
	}
	if _, ok := errors.AsType[*Misconfigured](err); ok {
		return exitConfig
	}
	if _, ok := errors.AsType[strict.Problems](err); ok {
		return exitConfig
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	switch semper.CodeOf(err) {
	case semper.Forbidden:
		return exitForbidden
	case semper.Conflict:
		return exitConflict
	case semper.Timeout:
		return exitTimeout
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return exitTimeout
	}
	return exitFailed
}

// hintOf is what to do next about an error; never empty.
func hintOf(err error) string {
	if e, ok := errors.AsType[*exit](err); ok && e.hint != "" {
		return e.hint
	}
	if _, ok := errors.AsType[*config.Errors](err); ok {
		return "semper config explain KEY tells about a setting; semper config check checks again"
	}
	if m, ok := errors.AsType[*Misconfigured](err); ok {
		return m.Hint
	}
	if _, ok := errors.AsType[strict.Problems](err); ok {
		return "the command's --help shows a file that is right"
	}
	if h := semper.HintOf(err); h != "" {
		return h
	}
	switch semper.CodeOf(err) {
	case semper.NotFound:
		return "semper status lists what there is"
	case semper.Conflict:
		return "semper status shows what is under way"
	case semper.Forbidden:
		return "run as the server's user, or set SEMPER_TOKEN"
	case semper.Timeout:
		return "it may still be under way: semper status"
	case semper.Invalid:
		return "semper COMMAND --help"
	case semper.NoSpace:
		return "make room: semper release gc, df -h"
	}
	return "semper doctor looks for what is wrong"
}

// end tells of err, on stderr and last, and gives its code.
func (c *command) end(err error) int {
	code := codeOf(err)
	if err == nil {
		return code
	}
	e, own := errors.AsType[*exit](err)
	if own && e.err == nil {
		return code
	}
	p := c.paint(c.env.Stderr)
	switch {
	case code == exitInterrupted && !own:
		c.sayf("interrupted")
		return code
	case code == exitConfig:
		c.problems(err, p)
	case code == exitInterrupted:
		c.sayf("%s", e.err)
	default:
		c.sayf("%s %s", p.Bad("error:"), draw.Safe(err.Error()))
	}
	if own {
		for _, line := range e.block {
			c.sayf("%s", line)
		}
		if code == exitInterrupted && e.hint == "" {
			return code
		}
	}
	c.sayf("%s %s", p.Dim("hint:"), draw.Safe(hintOf(err)))
	return code
}

func (c *command) problems(err error, p draw.Paint) {
	c.sayf("%s", err)
	n := 1
	if list, ok := errors.AsType[*config.Errors](err); ok {
		n = len(*list)
	} else if m, ok := errors.AsType[*Misconfigured](err); ok {
		n = m.Count
	} else if ps, ok := errors.AsType[strict.Problems](err); ok {
		n = len(ps)
	}
	c.sayf("%s the configuration has %s; nothing was changed", p.Bad("error:"), draw.Plural(n, "problem"))
}

// sayf writes a line of talk to stderr.
func (c *command) sayf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintln(c.env.Stderr, strings.TrimRight(text, "\n")) // nobody left to tell
}

// usageHint names the help of the command that was meant.
func (c *command) usageHint(root *cobra.Command, args []string) string {
	if found, _, err := root.Find(args); err == nil && found != nil {
		return found.CommandPath() + " --help"
	}
	return "semper --help"
}
