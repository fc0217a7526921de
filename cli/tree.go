package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// A mark says a state by shape, a word and a colour.
func mark(p paint, state semper.InstanceState) string {
	switch state {
	case semper.Ready:
		return p.good("●")
	case semper.Starting:
		return p.warn("◐")
	case semper.NotReady:
		return p.warn("▲")
	case semper.Waiting:
		return p.bad("✗")
	case semper.Stopping:
		return p.dim("◌")
	}
	return p.dim("○")
}

func rolloutMark(p paint, state semper.RolloutState) string {
	switch {
	case state == semper.RolloutFailed, state == semper.RolloutRolledBack, state == semper.RolloutRollingBack:
		return p.bad("✗")
	case state.Live():
		return p.good("✓")
	case state == semper.RolloutSuperseded:
		return p.dim("–")
	}
	return p.warn("◐")
}

// drawStatus is an environment as lines: what serves, what moves, every instance, what was lost.
func drawStatus(st api.Status, p paint, now time.Time) []string {
	out := []string{headline(st, p)}
	if st.Rollout != nil {
		out = append(out, rolloutLine(*st.Rollout, p, now))
	}
	if st.Hold != nil {
		what := "all requests wait"
		if st.Hold.Writes {
			what = "writes wait"
		}
		out = append(out, p.warn("‖ hold")+"  "+what+" since "+span(now.Sub(st.Hold.Since))+"; semper resume"+scope(st.App, st.Environment))
	}
	branches := append(instanceBranches(st, p, now), ledgerBranch(st, p)...)
	out = append(out, branches...)
	for _, w := range st.Warnings {
		out = append(out, p.warn("! ")+safe(w))
	}
	if st.Rollout != nil && st.Rollout.Reason != "" && !st.Rollout.State.Live() {
		out = append(out, p.bad("why: ")+safe(st.Rollout.Reason))
	}
	return out
}

func headline(st api.Status, p paint) string {
	s := p.bold(st.App) + " · " + st.Environment + "  "
	if st.Release == "" {
		s += p.warn("nothing serves yet")
	} else {
		s += p.bold(string(st.Release)) + " serves"
	}
	s += fmt.Sprintf("  epoch %d", st.Epoch)
	if st.Previous != "" && st.Previous != st.Release {
		s += "  before: " + string(st.Previous)
		if st.Warm {
			s += " (warm)"
		}
	}
	return s
}

func rolloutLine(r api.RolloutStatus, p paint, now time.Time) string {
	end := now
	if !r.EndedAt.IsZero() {
		end = r.EndedAt
	}
	s := fmt.Sprintf("%s %s %s  %s → %s  %s", rolloutMark(p, r.State), r.Kind, r.ID, cmp.Or(string(r.From), "nothing"), r.To, p.bold(string(r.State)))
	if r.Step != "" && r.Step != string(r.State) {
		s += ": " + safe(r.Step)
	}
	return s + p.dim("  "+span(end.Sub(r.StartedAt)))
}

// placed is one release with the role its instances have.
type placed struct {
	release semper.ReleaseName
	role    string
}

// instanceBranches groups the instances by release: candidate first, what serves, what goes.
func instanceBranches(st api.Status, p paint, now time.Time) []string {
	order := map[string]int{"candidate": 0, "current": 1, "warm": 2, "retiring": 3}
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
		out = append(out, "├─ "+p.bold(string(g.release))+" "+g.role+"  "+tally(groups[g]))
		rows := grid{}
		for _, in := range groups[g] {
			rows.row(instanceRow(in, p, now)...)
		}
		var b strings.Builder
		rows.write(&b)
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

// tally is "web 2/3 ready, worker 1/1 ready".
func tally(list []api.Instance) string {
	ready, total := map[string]int{}, map[string]int{}
	for _, in := range list {
		total[in.Service]++
		if in.State == semper.Ready {
			ready[in.Service]++
		}
	}
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(total)) {
		parts = append(parts, fmt.Sprintf("%s %d/%d ready", s, ready[s], total[s]))
	}
	return strings.Join(parts, ", ")
}

func instanceRow(in api.Instance, p paint, now time.Time) []string {
	short := string(in.ID)
	if _, after, ok := strings.Cut(short, "/"); ok {
		short = after
	}
	pid := "-"
	if in.PID != 0 {
		pid = fmt.Sprint(in.PID)
	}
	up := ""
	if !in.StartedAt.IsZero() && in.PID != 0 {
		up = "up " + span(now.Sub(in.StartedAt))
	}
	more := up
	if in.Restarts > 0 {
		more += p.warn(fmt.Sprintf("  %s", plural(in.Restarts, "restart")))
	}
	if in.InFlight > 0 {
		more += fmt.Sprintf("  %d in flight", in.InFlight)
	}
	if in.Reason != "" {
		more += "  " + p.bad(oneLine(in.Reason))
	}
	if in.Warning != "" {
		more += "  " + p.warn("! "+oneLine(in.Warning))
	}
	return []string{mark(p, in.State) + " " + short, string(in.State), "pid " + pid, orDash(in.Address), strings.TrimSpace(more)}
}

func oneLine(s string) string {
	return safe(strings.Join(strings.Fields(s), " "))
}

// ledgerBranch is the last branch: the counts of each release, newest first.
func ledgerBranch(st api.Status, p paint) []string {
	names := slices.SortedFunc(maps.Keys(st.Ledger), func(a, b semper.ReleaseName) int { return cmp.Compare(b.Number(), a.Number()) })
	if len(names) == 0 {
		return []string{"└─ ledger  " + p.dim("no requests yet")}
	}
	out := []string{"└─ ledger"}
	rows := grid{}
	for _, n := range names {
		rows.row(append([]string{string(n)}, ledgerWords(st.Ledger[n], p)...)...)
	}
	var b strings.Builder
	rows.write(&b)
	for l := range strings.SplitSeq(strings.TrimRight(b.String(), "\n"), "\n") {
		out = append(out, "   "+l)
	}
	return out
}

// ledgerWords says what a release did; what was lost is never left out, what is zero and harmless is.
func ledgerWords(l semper.Ledger, p paint) []string {
	lost := func(n uint64, what string) string {
		s := fmt.Sprintf("%d %s", n, what)
		if n > 0 {
			return p.bad(s)
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

// drawTree is the supervision tree as lines.
func drawTree(n api.TreeNode, p paint, now time.Time) []string {
	return drawNode(n, "", "", p, now)
}

func drawNode(n api.TreeNode, first, rest string, p paint, now time.Time) []string {
	out := []string{first + nodeLine(n, p, now)}
	for i, child := range n.Children {
		a, b := "├─ ", "│  "
		if i == len(n.Children)-1 {
			a, b = "└─ ", "   "
		}
		out = append(out, drawNode(child, rest+a, rest+b, p, now)...)
	}
	return out
}

func nodeLine(n api.TreeNode, p paint, now time.Time) string {
	var s strings.Builder
	if n.Kind == "supervisor" {
		s.WriteString(p.bold(n.Name))
		if n.Strategy != "" {
			fmt.Fprintf(&s, "  %s", n.Strategy)
		}
		if n.Intensity != "" {
			fmt.Fprintf(&s, "  restarts %d (gives up after %s)", n.Window, n.Intensity)
		}
	} else {
		s.WriteString(n.Name)
	}
	if n.State != "" {
		word := n.State
		switch n.State {
		case "running", "ready", "up":
			word = p.good(word)
		case "waiting", "ended", "failed":
			word = p.bad(word)
		}
		s.WriteString("  " + word)
	}
	if n.PID != 0 {
		fmt.Fprintf(&s, "  pid %d", n.PID)
	}
	if !n.StartedAt.IsZero() && n.PID != 0 {
		s.WriteString("  up " + span(now.Sub(n.StartedAt)))
	}
	if n.Restarts > 0 {
		s.WriteString("  " + p.warn(plural(n.Restarts, "restart")))
	}
	if n.Reason != "" {
		s.WriteString("  " + p.bad("last end: "+oneLine(n.Reason)))
	}
	return s.String()
}
