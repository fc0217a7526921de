package draw

import (
	"fmt"
	"io"
	"strings"

	"semper"
)

// Crash prints a crash report whole.
func Crash(w io.Writer, p Paint, r semper.CrashReport) {
	fmt.Fprintf(w, "%s  %s %s\n", p.Bold(r.ID), OneLine(r.Subject()), p.Bad(OneLine(r.Reason.String())))
	rows := Grid{}
	row := func(k, v string) {
		if v != "" {
			rows.Row("  "+p.Dim(k), OneLine(v))
		}
	}
	row("at", Clock(r.At))
	row("release", string(r.Release))
	if r.PID != 0 {
		row("pid", fmt.Sprint(r.PID))
	}
	row("uptime", Span(r.Uptime.D()))
	if r.Actor != nil {
		actorRows(row, *r.Actor)
	} else {
		row("restarts", fmt.Sprintf("%d, of these %d within %s (gives up over %d)", r.Restarts, r.Window, r.Intensity.Within, r.Intensity.Restarts))
	}
	row("decision", r.Decision)
	if r.Peak.MemoryBytes > 0 || r.Peak.CPU > 0 {
		row("peak", fmt.Sprintf("memory %s, cpu time %s", Size(r.Peak.MemoryBytes), Span(r.Peak.CPU.D())))
	}
	row("last good", string(r.LastGood))
	rows.Write(w)
	if r.Actor != nil {
		block(w, p, "its last message", lines(r.Actor.LastMessage))
		block(w, p, "its state", lines(r.Actor.State))
		block(w, p, "what waited in its mailbox", r.Actor.Waiting)
		block(w, p, "stack", lines(r.Actor.Stack))
	}
	if len(r.Diff) > 0 {
		fmt.Fprintf(w, "\nwhat differs from %s\n", r.LastGood)
		Changes(w, p, r.Diff)
	}
	block(w, p, "last lines of output", r.Tail)
}

func actorRows(row func(k, v string), a semper.ActorCrash) {
	row("actor", strings.TrimSpace(a.Label+" "+a.Process))
	if a.Process != "" {
		row("handled", Plural(int(min(a.Messages, 1<<53)), "message"))
	}
	if a.Mailbox > 0 {
		row("mailbox", Plural(a.Mailbox, "message")+" waited")
	}
	row("ancestors", strings.Join(a.Ancestors, ", "))
	row("links", strings.Join(a.Links, ", "))
	if a.Dropped > 0 {
		row("not reported", fmt.Sprintf("%d crashes before this one: there were too many in too short a time", a.Dropped))
	}
}

// lines are those of a text, none of an empty one.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}

// block prints lines below a title, nothing when there are none.
func block(w io.Writer, p Paint, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\n"+title)
	for _, l := range lines {
		fmt.Fprintln(w, p.Dim("  │ ")+Safe(l))
	}
}
