package cli

import (
	"io"

	"semper/cli/draw"
	"semper/cli/task"
)

// taskShell is what commands about tasks and crons use of this one.
func (c *command) taskShell() *task.Shell {
	return &task.Shell{
		Topic: topic, App: func() string { return c.app }, Environment: func() string { return c.environment }, By: c.by,
		With: c.with, Sayf: c.sayf, Print: c.print, Now: c.env.Now, Stdout: c.env.Stdout, Stderr: c.env.Stderr,
		Chatty: func() bool { return !c.quiet && c.env.IsTTY(c.env.Stderr) },
		Exit:   func(code int, err error) error { return &exit{code: code, err: err} },
		PrintList: func(list []any, names []string, table func(io.Writer, draw.Paint)) error {
			if c.output != "jsonl" {
				return c.print(list, names, table)
			}
			return printList(c, list, func(any) string { return "" }, table)
		},
	}
}
