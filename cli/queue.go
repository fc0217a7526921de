package cli

import (
	"io"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
	"semper/cli/queue"
	jobs "semper/queue"
)

// queueCommand holds what people do about queues. The keeper starts the part of that name by it.
func (c *command) queueCommand() *cobra.Command {
	s := &queue.Shell{
		Topic: topic, App: func() string { return c.app }, Environment: func() string { return c.environment }, By: c.by,
		With: c.with, Sayf: c.sayf, Print: c.print, Confirmed: c.confirmed, Now: c.env.Now,
		PrintQueues: func(list []api.QueueInfo, table func(io.Writer, draw.Paint)) error {
			return printList(c, list, func(q api.QueueInfo) string { return q.Service.Service }, table)
		},
		PrintJobs: func(list []jobs.Status, table func(io.Writer, draw.Paint)) error {
			return printList(c, list, func(j jobs.Status) string { return j.ID.String() }, table)
		},
		Live: func() bool { return c.output == "table" && c.env.IsTTY(c.env.Stdout) },
		Screen: func() (draw.Screen, draw.Paint) {
			return draw.Screen{W: c.env.Stdout, Size: c.env.Size}, c.paint(c.env.Stdout)
		},
	}
	cmd := s.Command()
	cmd.Annotations = onServer
	c.asPart(cmd, "queue")
	part := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("id") { // the keeper: a part has its name
			return part(cmd, args)
		}
		return cmd.Help()
	}
	for _, name := range []string{"data", "id"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
	return cmd
}
