package web

import (
	"cmp"
	"fmt"
	"semper/internal/argv"
	"strings"

	"semper/api"
	"semper/task"
)

// mostCommand is how much of a command stands in a table.
const mostCommand = 60

// taskWhat is what a task runs, in short.
func taskWhat(t task.Task) string {
	if len(t.Command) == 0 {
		return t.Service
	}
	line := []rune(strings.Join(strings.Fields(argv.Line(t.Command)), " "))
	if len(line) > mostCommand {
		line = append(line[:mostCommand], '…')
	}
	return t.Service + ": " + string(line)
}

// taskWhy is why a task waits, or ended as it did; "" where there is nothing to say.
func taskWhy(t task.Task) string {
	why := t.Why
	if t.State == task.Queued && why != "" {
		why = "waits for " + why
	}
	if t.Skipped > 0 {
		why = strings.TrimPrefix(fmt.Sprintf("%s; %d due times passed meanwhile", why, t.Skipped), "; ")
	}
	return why
}

// cronRun is the run of a cron that says most: the one that has not ended, else the last one that has; nil for none.
func cronRun(c api.CronInfo) *task.Task {
	if len(c.Open) > 0 {
		return &c.Open[0]
	}
	return c.Last
}

// cronState is how it stands with a cron, in a word.
func cronState(c api.CronInfo) string {
	if c.Paused != nil {
		return "paused"
	}
	if run := cronRun(c); run != nil {
		return string(run.State)
	}
	return "waiting"
}

// cronWhy is who paused a cron, or why its last run failed; "" where there is nothing to say.
func cronWhy(c api.CronInfo) string {
	var all []string
	if p := c.Paused; p != nil {
		all = append(all, strings.TrimSuffix("paused by "+cmp.Or(p.By, "somebody")+": "+p.Why, ": "))
	}
	if run := cronRun(c); run != nil {
		if why := taskWhy(*run); why != "" {
			all = append(all, run.ID+": "+why)
		}
	}
	return strings.Join(all, "; ")
}
