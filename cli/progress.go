package cli

import (
	"io"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

// progress shows what goes on while a command waits. One goroutine uses it.
type progress interface {
	// step is something this side does: "build", "pack", "upload".
	step(phase, text string)
	// event is something that happened on the server.
	event(e semper.Event)
	// status is the environment as it is now; wantsStatus says whether to ask for it at all.
	status(st api.Status)
	wantsStatus() bool
	// result is the end of the rollout followed.
	result(r semper.Rollout, code int)
	// leave gives the terminal back.
	leave()
}

// newProgress chooses by the flag, and by what stderr is.
func (c *command) newProgress() progress {
	mode := c.progress
	if mode == "auto" {
		mode = "plain"
		if c.env.IsTTY(c.env.Stderr) && c.env.Getenv("TERM") != "dumb" && c.env.Getenv("CI") == "" {
			mode = "tty"
		}
	}
	switch mode {
	case "tty":
		return &live{c: c, screen: draw.Screen{W: c.env.Stderr, Size: c.env.Size}, p: c.paint(c.env.Stderr)}
	case "json":
		return &records{w: c.env.Stdout}
	case "quiet":
		return silent{}
	}
	return &lines{c: c}
}

// silent shows nothing.
type silent struct{}

func (silent) step(string, string)        {}
func (silent) event(semper.Event)         {}
func (silent) status(api.Status)          {}
func (silent) wantsStatus() bool          { return false }
func (silent) result(semper.Rollout, int) {}
func (silent) leave()                     {}

// lines writes one timestamped line per change.
type lines struct {
	silent
	c *command
}

func (l *lines) step(phase, text string) {
	l.c.sayf("%s  %-10s %s", stamp(l.c.env.Now()), phase, draw.OneLine(text))
}

func (l *lines) event(e semper.Event) {
	phase := phaseOf(e)
	said := strings.Replace(e.Message, ": "+phase+": ", ": ", 1) // the state stands in its own column already
	l.c.sayf("%s  %-10s %s", stamp(e.At), phase, draw.OneLine(strings.TrimSuffix(said, ": "+phase)))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// phaseOf is the short word of an event: "ready" for "rollout.ready".
func phaseOf(e semper.Event) string {
	if after, ok := strings.CutPrefix(e.Kind, "rollout."); ok {
		return after
	}
	return e.Kind
}

// A record is one line of --progress json. Keys are only ever added; schema counts what breaks that.
type record struct {
	Schema  int             `json:"schema"`
	Type    string          `json:"type"` // "step", "event", "result"
	At      time.Time       `json:"at,omitzero"`
	Deploy  string          `json:"deploy,omitempty"`
	Phase   string          `json:"phase"`
	Message string          `json:"message,omitempty"`
	Reason  *recordReason   `json:"reason,omitempty"`
	Exit    *int            `json:"exit,omitempty"`
	Event   *semper.Event   `json:"event,omitempty"`
	Rollout *semper.Rollout `json:"rollout,omitempty"`
}

type recordReason struct {
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Evidence []string `json:"evidence,omitempty"`
}

// records writes JSON lines to stdout.
type records struct {
	silent
	w io.Writer
}

func (r *records) write(rec record) {
	rec.Schema = 1
	_ = line(r.w, rec) // nobody left to tell
}

func (r *records) step(phase, text string) {
	r.write(record{Type: "step", Phase: phase, Message: text})
}

func (r *records) event(e semper.Event) {
	r.write(record{Type: "event", At: e.At, Deploy: e.Rollout, Phase: phaseOf(e), Message: e.Message, Event: &e})
}

func (r *records) result(ro semper.Rollout, code int) {
	rec := record{Type: "result", At: ro.EnteredAt, Deploy: ro.ID, Phase: string(ro.State), Rollout: &ro, Exit: &code}
	if ro.Reason != "" {
		rec.Reason = &recordReason{Code: string(ro.State), Message: ro.Reason, Evidence: ro.Tail}
	}
	r.write(rec)
}

// live redraws the environment's tree in place, below what was said before.
type live struct {
	silent
	c      *command
	screen draw.Screen
	p      draw.Paint
	last   api.Status
}

func (l *live) wantsStatus() bool { return true }

func (l *live) step(phase, text string) {
	l.screen.Above(l.p.Dim(phase) + "  " + draw.OneLine(text))
}

func (l *live) event(e semper.Event) {
	if e.Crash != "" {
		l.screen.Above(l.p.Bad("✗ ") + draw.OneLine(e.Message))
	}
}

func (l *live) status(st api.Status) {
	l.last = st
	l.screen.Draw(append(draw.Status(st, l.p, l.c.env.Now()),
		l.p.Dim("Ctrl-C leaves it running")))
}

func (l *live) result(semper.Rollout, int) {
	if l.last.App != "" {
		l.screen.Draw(draw.Status(l.last, l.p, l.c.env.Now()))
	}
}

func (l *live) leave() { l.screen.Keep() }
