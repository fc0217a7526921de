package draw

import (
	"cmp"
	"fmt"
	"io"
	"semper/internal/argv"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/task"
)

// taskMark says where a task is by shape and colour; the word stands beside it.
func taskMark(p Paint, s task.State) string {
	switch s {
	case task.Done:
		return p.Good("✓")
	case task.Failed:
		return p.Bad("✗")
	case task.Starting, task.Running:
		return p.Warn("◐")
	}
	return p.Dim("○")
}

// Until is when something comes, from now on and on the clock of the reader: "in 2m10s (14:05:00)"; "-" for never.
func Until(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	layout := "15:04:05"
	if at.Sub(now) > 20*time.Hour {
		layout = "Jan 2 15:04"
	}
	return "in " + Span(max(at.Sub(now), 0)) + " (" + at.Local().Format(layout) + ")"
}

// ago is when something was, seen from now.
func ago(at, now time.Time) string { return Span(max(now.Sub(at), 0)) + " ago" }

// forWhom is who asked for a task, or which due time.
func forWhom(t task.Task) string {
	if t.Due.IsZero() {
		return OrDash(OneLine(t.By))
	}
	return "due " + t.Due.Local().Format("Jan 2 15:04:05")
}

// since is how long a task has run, or ran, and when that was.
func since(t task.Task, now time.Time) string {
	switch {
	case t.State == task.Queued:
		return "asked " + ago(t.AskedAt, now)
	case t.State.Ended() && t.Took() > 0:
		return "took " + Span(t.Took()) + ", " + ago(t.EndedAt, now)
	case t.State.Ended():
		return ago(t.EndedAt, now)
	}
	return "for " + Span(max(now.Sub(t.StartedAt), 0))
}

// what is the command of a task in a line, cut where it is long.
func what(t task.Task) string {
	if len(t.Command) == 0 {
		return t.Service
	}
	return Cut(OneLine(t.Service+": "+argv.Line(t.Command)), 48)
}

func whyOf(t task.Task) string {
	why := t.Why
	if t.State == task.Queued && why != "" {
		why = "waits for " + why
	}
	if t.Skipped > 0 {
		why = strings.TrimPrefix(why+"; "+fmt.Sprintf("%s passed meanwhile", Plural(t.Skipped, "due time")), "; ")
	}
	return OneLine(why)
}

// Tasks prints tasks, one a line.
func Tasks(w io.Writer, list []task.Task, p Paint, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no tasks: semper run begins one, and a service of type cron does when it is due")
		return
	}
	rows := Grid{}
	rows.Row(p.Bold("TASK"), "STATE", "OF", "RELEASE", "WHAT", "FOR", "WHEN", "WHY")
	for _, t := range list {
		rows.Row(t.ID, taskMark(p, t.State)+" "+string(t.State), t.App+"/"+t.Environment, OrDash(string(t.Release)), what(t), forWhom(t), since(t, now), whyOf(t))
	}
	rows.Write(w)
}

// Task prints all that is known of one.
func Task(w io.Writer, t task.Task, p Paint, now time.Time) {
	fmt.Fprintf(w, "%s %s  %s  %s\n", taskMark(p, t.State), p.Bold(t.ID), p.Bold(string(t.State)), since(t, now))
	rows := Grid{}
	row := func(key, value string) {
		if value != "" {
			rows.Row("  "+p.Dim(key), value)
		}
	}
	row("of", t.App+"/"+t.Environment)
	row("service", t.Service)
	row("command", OneLine(argv.Line(t.Command)))
	row("release", string(t.Release))
	row("for", forWhom(t))
	row("unit", string(t.Unit))
	row("asked", Stamp(t.AskedAt))
	if !t.StartedAt.IsZero() {
		row("started", Stamp(t.StartedAt))
		row("until", Stamp(t.Until)+"  (deadline "+t.Deadline.String()+")")
	}
	if !t.EndedAt.IsZero() {
		row("ended", Stamp(t.EndedAt))
	}
	if s := t.Stop; s != nil {
		row("stopped", strings.TrimSuffix("by "+OneLine(cmp.Or(s.By, "somebody")+": "+s.Why), ": "))
	}
	if e := t.End; e != nil {
		row("end", OneLine(e.Reason.String()))
		if e.Peak.MemoryBytes > 0 {
			row("used", fmt.Sprintf("%s of memory, %s of a processor", Size(e.Peak.MemoryBytes), Span(e.Peak.CPU.D())))
		}
	}
	row("why", whyOf(t))
	rows.Write(w)
	if t.End != nil {
		for _, line := range t.End.Tail {
			fmt.Fprintln(w, "  "+p.Dim("│")+" "+SafeLog(line))
		}
	}
}

// Crons prints crons, one a line.
func Crons(w io.Writer, list []api.CronInfo, p Paint, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no crons: a service of type cron in semper.yaml is one")
		return
	}
	rows := Grid{}
	rows.Row(p.Bold("CRON"), "OF", "SCHEDULE", "OVERLAP", "NEXT", "LAST")
	for _, c := range list {
		rows.Row(c.Service, c.App+"/"+c.Environment, scheduleOf(c), string(cmp.Or(c.Settings.Overlap, task.Skip)), nextOf(c, p, now), lastOf(c, p, now))
	}
	rows.Write(w)
}

func scheduleOf(c api.CronInfo) string {
	s := c.Settings.Schedule
	if c.Settings.Zone != "" && c.Settings.Zone != "UTC" {
		s += " " + c.Settings.Zone
	}
	return OneLine(s)
}

func nextOf(c api.CronInfo, p Paint, now time.Time) string {
	switch {
	case c.Paused != nil:
		s := "paused by " + cmp.Or(c.Paused.By, "somebody")
		if c.Paused.Why != "" {
			s += ": " + c.Paused.Why
		}
		return p.Warn(OneLine(s))
	case c.Next.IsZero():
		return "never"
	}
	return Until(c.Next, now)
}

// lastOf is what runs of a cron, else how its last run ended.
func lastOf(c api.CronInfo, p Paint, now time.Time) string {
	if len(c.Open) > 0 {
		t := c.Open[0]
		s := taskMark(p, t.State) + " " + t.ID + " " + string(t.State) + " " + since(t, now)
		if n := len(c.Open) - 1; n > 0 {
			s += fmt.Sprintf(", %d after it", n)
		}
		return s
	}
	if t := c.Last; t != nil {
		s := taskMark(p, t.State) + " " + t.ID + " " + string(t.State) + " " + since(*t, now)
		if t.State != task.Done && t.Why != "" {
			s += ": " + Cut(OneLine(t.Why), 60)
		}
		return s
	}
	return "none yet"
}

// taskBranches are an environment's tasks and crons, as branches of its status.
func taskBranches(st api.Status, p Paint, now time.Time) []string {
	var out []string
	branch := func(head string, rows Grid) {
		var b strings.Builder
		rows.Write(&b)
		lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
		out = append(out, "├─ "+head)
		for i, l := range lines {
			mark := "│  ├─ "
			if i == len(lines)-1 {
				mark = "│  └─ "
			}
			out = append(out, mark+l)
		}
	}
	if len(st.Tasks) > 0 {
		rows, open := Grid{}, 0
		for _, t := range st.Tasks {
			if !t.State.Ended() {
				open++
			}
			rows.Row(taskMark(p, t.State)+" "+t.ID, string(t.State), OrDash(string(t.Release)), what(t), since(t, now), whyOf(t))
		}
		branch(p.Bold("tasks")+fmt.Sprintf("  %d not ended", open), rows)
	}
	if len(st.Crons) > 0 {
		rows := Grid{}
		for _, c := range st.Crons {
			next := nextOf(c, p, now)
			if c.Paused == nil {
				next = "next " + next
			}
			rows.Row(c.Service, scheduleOf(c), next, lastOf(c, p, now))
		}
		branch(p.Bold("crons"), rows)
	}
	return out
}

// ends tells a unit that ends, by the words of its state.
func ends(in api.Instance) bool {
	switch in.State {
	case api.UnitRunning, api.UnitDone, api.UnitFailed:
		return true
	}
	return in.Role == "migration"
}

// endMark is mark for a unit that ends.
func endMark(p Paint, s semper.InstanceState) string {
	switch s {
	case api.UnitDone:
		return p.Good("✓")
	case api.UnitFailed:
		return p.Bad("✗")
	}
	return p.Warn("◐")
}
