package draw

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// A mark says a state by shape, a word and a colour.
func mark(p Paint, state semper.InstanceState) string {
	switch state {
	case semper.Ready:
		return p.Good("●")
	case semper.Starting:
		return p.Warn("◐")
	case semper.NotReady:
		return p.Warn("▲")
	case semper.Waiting:
		return p.Bad("✗")
	case semper.Stopping:
		return p.Dim("◌")
	}
	return p.Dim("○")
}

func rolloutMark(p Paint, state semper.RolloutState) string {
	switch {
	case state == semper.RolloutFailed, state == semper.RolloutRolledBack, state == semper.RolloutRollingBack:
		return p.Bad("✗")
	case state.Live():
		return p.Good("✓")
	case state == semper.RolloutSuperseded:
		return p.Dim("–")
	}
	return p.Warn("◐")
}

// Status is an environment as lines: what serves, what moves, every instance, what was lost.
func Status(st api.Status, p Paint, now time.Time) []string {
	out := []string{headline(st, p)}
	if st.Rollout != nil {
		out = append(out, rolloutLine(*st.Rollout, p, now))
		out = append(out, trialLines(*st.Rollout, p, now)...)
	}
	for _, h := range st.Hold {
		out = append(out, holdLine(&st, h, p, now))
	}
	for i := range st.Scaling {
		out = append(out, scalingLine(&st, &st.Scaling[i], p))
	}
	out = append(out, instanceBranches(st, p, now)...)
	out = append(out, taskBranches(st, p, now)...)
	out = append(out, ledgerBranch(st, p)...)
	for _, w := range st.Warnings {
		out = append(out, p.Warn("! ")+OneLine(w))
	}
	if st.Rollout != nil && st.Rollout.Reason != "" && !st.Rollout.State.Live() {
		out = append(out, p.Bad("why: ")+OneLine(st.Rollout.Reason))
	}
	return out
}

// holdLine says what waits, how many, for how long still, and who wanted it.
func holdLine(st *api.Status, h semper.Hold, p Paint, now time.Time) string {
	s := p.Warn("‖ hold") + fmt.Sprintf("  %s wait: %d now, since %s", OneLine(api.HoldWords(h)), st.Waiting(h), Span(now.Sub(h.Since)))
	if h.By != "" {
		s += ", by " + OneLine(h.By)
	}
	if !h.Until.IsZero() {
		s += ", ends in " + Span(max(h.Until.Sub(now), 0))
	}
	s += "; semper resume"
	if h.Service != "" {
		s += " --service " + h.Service
	}
	if h.Route != "" {
		s += " --route " + OneLine(h.Route)
	}
	return s + Scope(st.App, st.Environment)
}

func headline(st api.Status, p Paint) string {
	s := p.Bold(st.App) + " · " + st.Environment + "  "
	if st.Release == "" {
		s += p.Warn("nothing serves yet")
	} else {
		s += p.Bold(string(st.Release)) + " serves"
	}
	s += fmt.Sprintf("  epoch %d", st.Epoch)
	if st.Previous != "" && st.Previous != st.Release {
		s += "  before: " + string(st.Previous)
		if st.Warm {
			s += " (warm)"
			if !st.PinnedUntil.IsZero() {
				s = strings.TrimSuffix(s, ")") + "; serves who sticks to it until " + st.PinnedUntil.UTC().Format(time.TimeOnly) + ")"
			}
		}
	}
	return s
}

func rolloutLine(r api.RolloutStatus, p Paint, now time.Time) string {
	end := now
	if !r.EndedAt.IsZero() {
		end = r.EndedAt
	}
	s := fmt.Sprintf("%s %s %s  %s → %s  %s", rolloutMark(p, r.State), r.Kind, r.ID, cmp.Or(string(r.From), "nothing"), r.To, p.Bold(string(r.State)))
	if r.Step != "" && r.Step != string(r.State) {
		s += ": " + OneLine(r.Step)
	}
	return s + p.Dim("  "+Span(end.Sub(r.StartedAt)))
}

// placed is one release with the role its instances have.
type placed struct {
	release semper.ReleaseName
	role    string
}

// instanceBranches groups the instances by release: candidate first, what serves, what goes.
func instanceBranches(st api.Status, p Paint, now time.Time) []string {
	order := map[string]int{"migration": 0, "candidate": 1, "baseline": 2, "current": 3, "warm": 4, "retiring": 5}
	groups := map[placed][]api.Instance{}
	for _, in := range st.Instances {
		g := placed{in.Release, in.Role}
		groups[g] = append(groups[g], in)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b placed) int {
		return cmp.Or(cmp.Compare(order[a.role], order[b.role]), cmp.Compare(b.release.Number(), a.release.Number()))
	})
	var out []string
	for _, g := range keys {
		head := "├─ " + p.Bold(string(g.release)) + " " + g.role + "  " + tally(groups[g])
		if w := common(groups[g]); w != "" {
			head += "  " + p.Warn("! "+OneLine(w))
		}
		out = append(out, head)
		rows := Grid{}
		for _, in := range groups[g] {
			rows.Row(instanceRow(in, p, now)...)
		}
		var b strings.Builder
		rows.Write(&b)
		lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
		for i, l := range lines {
			branch := "│  ├─ "
			if i == len(lines)-1 {
				branch = "│  └─ "
			}
			out = append(out, branch+l)
		}
	}
	return out
}

// common is the warning that all instances of a group have, taken from them; "" for none.
func common(list []api.Instance) string {
	w := list[0].Warning
	for _, in := range list {
		if in.Warning != w {
			return ""
		}
	}
	for i := range list {
		list[i].Warning = ""
	}
	return w
}

// tally is "web 2/3 ready, worker 1/1 ready"; of what ends "migrate running".
func tally(list []api.Instance) string {
	ready, total := map[string]int{}, map[string]int{}
	var parts []string
	for _, in := range list {
		if ends(in) {
			parts = append(parts, in.Service+" "+string(in.State))
			continue
		}
		total[in.Service]++
		if in.State == semper.Ready {
			ready[in.Service]++
		}
	}
	for _, s := range slices.Sorted(maps.Keys(total)) {
		parts = append(parts, fmt.Sprintf("%s %d/%d ready", s, ready[s], total[s]))
	}
	return strings.Join(parts, ", ")
}

func instanceRow(in api.Instance, p Paint, now time.Time) []string {
	short := string(in.ID)
	if _, after, ok := strings.Cut(short, "/"); ok {
		short = after
	}
	pid := "-"
	if in.PID != 0 {
		pid = fmt.Sprint(in.PID)
	}
	var more []string
	if !in.StartedAt.IsZero() && in.PID != 0 {
		more = append(more, "up "+Span(now.Sub(in.StartedAt)))
	}
	if in.Restarts > 0 {
		more = append(more, p.Warn(Plural(in.Restarts, "restart")))
	}
	if in.InFlight > 0 {
		more = append(more, fmt.Sprintf("%d in flight", in.InFlight))
	}
	switch {
	case in.Reason == "":
	case in.State == semper.Starting: // not there yet is no fault yet
		more = append(more, p.Dim(OneLine(in.Reason)))
	default:
		more = append(more, p.Bad(OneLine(in.Reason)))
	}
	if in.Warning != "" {
		more = append(more, p.Warn("! "+OneLine(in.Warning)))
	}
	sign := mark(p, in.State)
	if ends(in) {
		sign = endMark(p, in.State)
	}
	return []string{sign + " " + short, string(in.State), "pid " + pid, OrDash(in.Address), strings.Join(more, "  ")}
}

// OneLine is s without line breaks and without anything a terminal would act on.
func OneLine(s string) string {
	return Safe(strings.Join(strings.Fields(s), " "))
}

// ledgerBranch is the last branch: the counts of each release, newest first.
func ledgerBranch(st api.Status, p Paint) []string {
	names := NewestFirst(st.Ledger)
	if len(names) == 0 {
		return []string{"└─ ledger  " + p.Dim("no requests yet")}
	}
	out := []string{"└─ ledger"}
	rows := Grid{}
	for _, n := range names {
		rows.Row(append([]string{string(n)}, ledgerWords(st.Ledger[n], p)...)...)
	}
	var b strings.Builder
	rows.Write(&b)
	for l := range strings.SplitSeq(strings.TrimRight(b.String(), "\n"), "\n") {
		out = append(out, "   "+l)
	}
	return out
}

// NewestFirst are the releases of a ledger.
func NewestFirst(l map[semper.ReleaseName]semper.Ledger) []semper.ReleaseName {
	return slices.SortedFunc(maps.Keys(l), func(a, b semper.ReleaseName) int { return cmp.Compare(b.Number(), a.Number()) })
}

// Ledger prints a row of counts per release, newest first.
func Ledger(w io.Writer, p Paint, ledger map[semper.ReleaseName]semper.Ledger) {
	rows := Grid{}
	rows.Row(p.Bold("release"), "accepted", "served", "app errors", "edge errors", "retried", "held", "shed", "cut", "gone")
	for _, n := range NewestFirst(ledger) {
		l := ledger[n]
		cells := []string{string(n)}
		for i, v := range []uint64{l.Accepted, l.Served, l.AppErrors, l.EdgeErrors, l.Retried, l.Held, l.Shed, l.Cut, l.Gone} {
			cell := fmt.Sprint(v)
			if v > 0 && (i == 2 || i == 3 || i == 6 || i == 7) {
				cell = p.Bad(cell)
			}
			cells = append(cells, cell)
		}
		rows.Row(cells...)
	}
	rows.Write(w)
}

// ledgerWords says what a release did; what was lost is never left out, what is zero and harmless is.
func ledgerWords(l semper.Ledger, p Paint) []string {
	lost := func(n uint64, what string) string {
		s := fmt.Sprintf("%d %s", n, what)
		if n > 0 {
			return p.Bad(s)
		}
		return s
	}
	cells := []string{
		fmt.Sprintf("%d accepted", l.Accepted), fmt.Sprintf("%d served", l.Served),
		lost(l.AppErrors, "app errors"), lost(l.EdgeErrors, "edge errors"), lost(l.Shed, "shed"), lost(l.Cut, "cut"),
	}
	if l.Retried > 0 {
		cells = append(cells, fmt.Sprintf("%d retried", l.Retried))
	}
	if l.Held > 0 {
		cells = append(cells, fmt.Sprintf("%d held", l.Held))
	}
	return cells
}

// Scope is how to name app and environment in a command that is suggested.
func Scope(app, env string) string {
	s := ""
	if app != "" {
		s += " -a " + app
	}
	if env != "" && env != semper.DefaultEnvironment {
		s += " -e " + env
	}
	return s
}
