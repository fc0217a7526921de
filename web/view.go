package web

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// A mark shows a state by shape, word and colour, so that none of them is needed alone.
type mark struct {
	Shape string // a symbol of the page's sprite
	Tone  string // "ok", "busy", "warn", "bad", "off"
	Word  string
}

func markOf(state any) mark {
	word := fmt.Sprint(state)
	m := mark{Shape: "ring", Tone: "off", Word: word}
	switch word {
	case string(semper.Ready), "running", "serving", "current", "ok":
		m.Shape, m.Tone = "disc", "ok"
	case string(semper.RolloutDone):
		m.Shape, m.Tone = "check", "ok"
	case string(semper.Starting), "stage", "start", "hold", "migrate", "undo", "connect", "drain", "retire", "candidate":
		m.Shape, m.Tone = "half", "busy"
	case string(semper.RolloutWatch), "warm":
		m.Shape, m.Tone = "eye", "busy"
	case string(semper.NotReady), string(semper.RolloutRollingBack), string(semper.RolloutRolledBack), "held", "degraded":
		m.Shape, m.Tone = "tri", "warn"
	case string(semper.Waiting), "paused":
		m.Tone = "warn"
	case string(semper.RolloutFailed), "down", "crashed", "fail":
		m.Shape, m.Tone = "cross", "bad"
	case string(semper.Stopping), string(semper.Ended), string(semper.RolloutSuperseded), "retiring", "stopped":
		m.Shape = "square"
	}
	return m
}

// rolloutMark tells the rollout's state "ready", which waits, from an instance's, which has arrived.
func rolloutMark(s semper.RolloutState) mark {
	if s == semper.RolloutReady {
		return mark{Shape: "half", Tone: "busy", Word: string(s)}
	}
	return markOf(s)
}

// readiness counts the instances that should serve now.
type readiness struct{ Ready, Of int }

func readyOf(s api.Status) (r readiness) {
	for _, in := range s.Instances {
		if in.Role != "current" {
			continue
		}
		r.Of++
		if in.State == semper.Ready {
			r.Ready++
		}
	}
	return r
}

// healthOf is an environment in one word.
func healthOf(s api.Status) mark {
	r := readyOf(s)
	ro := s.Rollout
	moving := ro != nil && !ro.State.Ended()
	if m, ok := sleepMark(s); ok && !moving && len(s.Hold) == 0 {
		return m
	}
	switch {
	case r.Of > 0 && r.Ready == 0:
		return markOf("down")
	case len(s.Hold) > 0:
		return markOf("held")
	case moving && ro.State == semper.RolloutRollingBack:
		return markOf(ro.State)
	case r.Ready < r.Of:
		return markOf("degraded")
	case moving && !ro.State.Live():
		return mark{"half", "busy", "rolling out"}
	case s.Release == "":
		return mark{"ring", "off", "not deployed"}
	}
	return markOf("serving")
}

// ordered are the instances with those that serve first and those that leave last.
func ordered(l []api.Instance) []api.Instance {
	rank := func(in api.Instance) int {
		return slices.Index([]string{"retiring", "warm", "candidate", "migration", "current"}, in.Role)
	}
	l = slices.Clone(l)
	slices.SortStableFunc(l, func(a, b api.Instance) int { return rank(b) - rank(a) })
	return l
}

// A step is one state of a rollout's timeline, passed, present or ahead.
type step struct {
	Mark  mark
	Note  string
	At    time.Time // zero: ahead
	Took  string
	Now   bool
	Ahead bool
}

// ahead are the states a rollout still passes when all goes well.
func ahead(s semper.RolloutState) []semper.RolloutState {
	if s == semper.RolloutRollingBack {
		return []semper.RolloutState{semper.RolloutRolledBack}
	}
	course := []semper.RolloutState{
		semper.RolloutStage, semper.RolloutStart, semper.RolloutReady, semper.RolloutConnect,
		semper.RolloutDrain, semper.RolloutWatch, semper.RolloutRetire, semper.RolloutDone,
	}
	switch s {
	case semper.RolloutTrial, semper.RolloutHold, semper.RolloutMigrate:
		s = semper.RolloutReady
	case semper.RolloutUndo:
		return []semper.RolloutState{semper.RolloutFailed}
	}
	return course[slices.Index(course, s)+1:]
}

// meaning says what happens in a state, where the rollout left no note of its own.
func meaning(s semper.RolloutState) string {
	switch s {
	case semper.RolloutStage:
		return "the artifact is put on the machine, its digest checked"
	case semper.RolloutStart:
		return "new instances start, without work"
	case semper.RolloutReady:
		return "all of them must become ready"
	case semper.RolloutHold:
		return "requests wait; those before them finish"
	case semper.RolloutMigrate:
		return "the release's migration runs, once"
	case semper.RolloutUndo:
		return "what undoes a migration that failed runs"
	case semper.RolloutConnect:
		return "every edge acknowledges the next route table"
	case semper.RolloutDrain:
		return "the old release finishes what it has"
	case semper.RolloutWatch:
		return "the old release stays warm; a crash loop turns it back"
	case semper.RolloutRetire:
		return "the old release is stopped"
	case semper.RolloutDone:
		return "nothing is left to do"
	case semper.RolloutFailed:
		return "the environment keeps the release it had"
	case semper.RolloutRollingBack:
		return "the old route table is published again"
	case semper.RolloutRolledBack:
		return "the old release serves again"
	case semper.RolloutSuperseded:
		return "the next rollout took over"
	}
	return ""
}

// timeline is every state the rollout was in, with what it waits for, and those ahead.
func timeline(ro *api.RolloutStatus) []step {
	var out []step
	for i, s := range ro.Steps {
		st := step{Mark: rolloutMark(s.State), Note: s.Note, At: s.At}
		if st.Note == "" || st.Note == string(s.State) {
			st.Note = meaning(s.State)
		}
		switch {
		case i+1 < len(ro.Steps):
			st.Took = took(ro.Steps[i+1].At.Sub(s.At))
			if s.State != semper.RolloutRollingBack {
				st.Mark.Shape, st.Mark.Tone = "check", "ok"
			}
		case !ro.State.Ended():
			st.Now = true
			if words := stepWords(ro); words != "" {
				st.Note = words
			}
		case ro.Reason != "":
			st.Note = ro.Reason
		}
		out = append(out, st)
	}
	if ro.State.Ended() {
		return out
	}
	for _, s := range ahead(ro.State) {
		out = append(out, step{Mark: mark{"ring", "off", string(s)}, Note: meaning(s), Ahead: true})
	}
	return out
}

// stepWords is what the rollout waits for, without the state it begins with.
func stepWords(ro *api.RolloutStatus) string {
	if ro.Step == string(ro.State) {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(ro.Step, string(ro.State)+":"))
}

// summary is the rollout in one sentence, as it is read aloud when it changes.
func summary(ro *api.RolloutStatus) string {
	from := string(ro.From)
	if from == "" {
		from = "nothing"
	}
	s := fmt.Sprintf("%s %s from %s to %s: %s", ro.Kind, ro.ID, from, ro.To, ro.State)
	if ro.Reason != "" {
		s += ", " + ro.Reason
	}
	return s
}

// holdWords say what h holds, as the beginning of a sentence.
func holdWords(h semper.Hold) string {
	w := api.HoldWords(h)
	return strings.ToUpper(w[:1]) + w[1:]
}

// waiting is how many requests wait by h.
func waiting(s api.Status, h semper.Hold) uint64 { return uint64(s.Waiting(h)) } //nolint:gosec // a count

// commands are what one may want to type next about an environment.
func commands(s api.Status) []string {
	at := " -a " + s.App
	if s.Environment != semper.DefaultEnvironment {
		at += " -e " + s.Environment
	}
	var out []string
	if len(s.Hold) > 0 {
		out = append(out, "semper resume"+at)
	}
	switch ro := s.Rollout; {
	case ro != nil && ro.State == semper.RolloutWatch:
		out = append(out, "semper promote"+at, "semper rollback"+at)
	case ro != nil && !ro.State.Ended():
		out = append(out, "semper abort"+at)
	case s.Previous != "":
		out = append(out, "semper rollback"+at)
	}
	return append(out, "semper logs -f"+at)
}

// eventTone marks the events that tell of a fault.
func eventTone(e semper.Event) mark {
	switch kind := e.Kind; {
	case strings.HasSuffix(kind, "crash"), strings.HasSuffix(kind, "crashed"), strings.HasSuffix(kind, "failed"):
		return mark{"cross", "bad", kind}
	case strings.HasSuffix(kind, "rolling-back"), strings.HasSuffix(kind, "rolled-back"), kind == "hold.begun", kind == "queue.paused", kind == "worker.untold":
		return mark{"tri", "warn", kind}
	case strings.HasSuffix(kind, "done"), kind == "hold.ended", kind == "queue.resumed":
		return mark{"check", "ok", kind}
	case strings.HasPrefix(kind, "rollout."):
		return mark{"half", "busy", kind}
	}
	return mark{"ring", "off", e.Kind}
}

// pips draw a supervisor's restarts within its window against what it allows; none draw nothing.
type pips struct {
	Used []bool // one per restart allowed
	Over bool
}

// mostPips is how many restarts are drawn; above that the words say it alone.
const mostPips = 12

func pipsOf(n api.TreeNode) *pips {
	first, _, _ := strings.Cut(n.Intensity, " ")
	allowed, err := strconv.Atoi(first)
	if err != nil || n.Window == 0 || allowed < 1 || allowed > mostPips {
		return nil
	}
	p := &pips{Used: make([]bool, allowed), Over: n.Window > allowed}
	for i := range min(n.Window, allowed) {
		p.Used[i] = true
	}
	return p
}

// inside is what runs in a process, as far as its program tells, in numbers.
type inside struct{ Count, Troubled int }

func insideOf(n api.TreeNode) (in inside) {
	for _, c := range n.Children {
		below := insideOf(c)
		in.Count += 1 + below.Count
		in.Troubled += below.Troubled
		if c.Trouble() {
			in.Troubled++
		}
	}
	in.Count += n.More
	return in
}

// mostInside is how many children of one supervisor in a program are listed.
const mostInside = 50

// shown are a node's children as far as they are listed.
type shown struct {
	Children []api.TreeNode
	More     int
}

func shownOf(n api.TreeNode) (s shown) {
	s.Children, s.More = n.Shown(mostInside)
	return s
}

// leafName is a node's name, an instance's without its app.
func leafName(n api.TreeNode) string {
	_, after, ok := strings.Cut(n.Name, "/")
	if !ok || n.Kind != api.NodeProcess {
		return n.Name
	}
	return after
}

// localID is an instance's id without its app. Crash reports name instances as strings.
func localID(id any) string {
	s := fmt.Sprint(id)
	if _, after, ok := strings.Cut(s, "/"); ok {
		return after
	}
	return s
}

// link is the address of a page: each part is one segment, whatever is in it.
func link(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(fmt.Sprint(p)))
	}
	return b.String()
}

// stamp is an instant in words that stay the same: the script turns them into the reader's own time.
func stamp(t time.Time, class ...string) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	attr := ""
	if len(class) > 0 {
		attr = ` class="` + template.HTMLEscapeString(class[0]) + `"`
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s"%s>%s</time>`, t.Format(time.RFC3339), attr, t.Format("2 Jan 15:04:05 UTC"))) //nolint:gosec // made of digits and an escaped class
}

// took is a duration a person reads at a glance.
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return short(d.Round(time.Second).String())
}

// short drops the zero seconds and minutes of a duration at the end of s: "1m0s" is "1m".
func short(s string) string {
	for _, unit := range []string{"m0s", "h0m"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s = rest + unit[:1]
		}
	}
	return s
}

// num groups thousands.
func num(v any) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesOf(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 3 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[i])
}
