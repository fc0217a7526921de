package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

// Progress is told what goes on. One goroutine uses it.
type Progress interface {
	// Step is something this side does: "build", "pack", "upload".
	Step(phase, text string)
	// Event is something that happened on the server.
	Event(e semper.Event)
	// Output is a line that the rollout's migration printed.
	Output(l api.LogLine)
	// Status is the environment as it is now; WantsStatus says whether to ask for it at all.
	Status(st api.Status)
	WantsStatus() bool
	// Result is the end of the rollout followed, with the exit code it leads to.
	Result(r semper.Rollout, code int)
	// Leave gives the terminal back.
	Leave()
}

// Options say where to, and how.
type Options struct {
	Mode           string // "tty", "plain", "json" or "quiet"
	Stdout, Stderr io.Writer
	Size           func() (width, height int)
	Now            func() time.Time
	Paint          draw.Paint // of Stderr
}

// New is the progress of a mode. Talk goes to stderr, JSON lines to stdout.
func New(o Options) Progress {
	switch o.Mode {
	case "tty":
		return &live{now: o.Now, screen: draw.Screen{W: o.Stderr, Size: o.Size}, p: o.Paint}
	case "json":
		return &records{w: o.Stdout}
	case "quiet":
		return silent{}
	}
	return &lines{w: o.Stderr, now: o.Now}
}

// silent shows nothing.
type silent struct{}

func (silent) Step(string, string)        {}
func (silent) Event(semper.Event)         {}
func (silent) Output(api.LogLine)         {}
func (silent) Status(api.Status)          {}
func (silent) WantsStatus() bool          { return false }
func (silent) Result(semper.Rollout, int) {}
func (silent) Leave()                     {}

// lines writes one timestamped line per change.
type lines struct {
	silent
	w   io.Writer
	now func() time.Time
}

func (l *lines) Step(phase, text string) {
	l.write(l.now(), phase, text)
}

func (l *lines) Event(e semper.Event) {
	phase := phaseOf(e)
	said := strings.Replace(e.Message, ": "+phase+": ", ": ", 1) // the state stands in its own column already
	l.write(e.At, phase, strings.TrimSuffix(said, ": "+phase))
}

func (l *lines) Output(line api.LogLine) { l.write(l.now(), "output", "│ "+line.Line) }

func (l *lines) write(at time.Time, phase, text string) {
	_, _ = fmt.Fprintln(l.w, strings.TrimRight(fmt.Sprintf("%s  %-10s %s", draw.Stamp(at), phase, draw.OneLine(text)), " ")) // nobody left to tell
}

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
	Type    string          `json:"type"` // "step", "event", "output", "result"
	At      time.Time       `json:"at,omitzero"`
	Deploy  string          `json:"deploy,omitempty"`
	Phase   string          `json:"phase"`
	Message string          `json:"message,omitempty"`
	Reason  *recordReason   `json:"reason,omitempty"`
	Exit    *int            `json:"exit,omitempty"`
	Event   *semper.Event   `json:"event,omitempty"`
	Output  *api.LogLine    `json:"output,omitempty"`
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
	e := json.NewEncoder(r.w)
	e.SetEscapeHTML(false)
	_ = e.Encode(rec) // nobody left to tell
}

func (r *records) Step(phase, text string) {
	r.write(record{Type: "step", Phase: phase, Message: text})
}

func (r *records) Event(e semper.Event) {
	r.write(record{Type: "event", At: e.At, Deploy: e.Rollout, Phase: phaseOf(e), Message: e.Message, Event: &e})
}

func (r *records) Output(l api.LogLine) {
	r.write(record{Type: "output", Phase: "migrate", Output: &l})
}

func (r *records) Result(ro semper.Rollout, code int) {
	rec := record{Type: "result", At: ro.EnteredAt, Deploy: ro.ID, Phase: string(ro.State), Rollout: &ro, Exit: &code}
	if ro.Reason != "" {
		rec.Reason = &recordReason{Code: string(ro.State), Message: ro.Reason, Evidence: ro.Tail}
	}
	r.write(rec)
}

// live redraws the environment's tree in place, below what was said before.
type live struct {
	now    func() time.Time
	screen draw.Screen
	p      draw.Paint
	last   api.Status
}

func (l *live) WantsStatus() bool { return true }

func (l *live) Step(phase, text string) {
	l.screen.Above(l.p.Dim(phase) + "  " + draw.OneLine(text))
}

func (l *live) Event(e semper.Event) {
	if e.Crash != "" {
		l.screen.Above(l.p.Bad("✗ ") + draw.OneLine(e.Message))
	}
}

func (l *live) Output(line api.LogLine) {
	l.screen.Above(l.p.Dim("migrate │ ") + draw.SafeLog(line.Line))
}

func (l *live) Status(st api.Status) {
	l.last = st
	l.screen.Draw(append(draw.Status(st, l.p, l.now()),
		l.p.Dim("Ctrl-C leaves it running")))
}

func (l *live) Result(semper.Rollout, int) {
	if l.last.App != "" {
		l.screen.Draw(draw.Status(l.last, l.p, l.now()))
	}
}

func (l *live) Leave() { l.screen.Keep() }
