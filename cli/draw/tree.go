package draw

import (
	"fmt"
	"math"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// listed is how many children of one supervisor inside a program are drawn.
const listed = 25

// Tree is the supervision tree as lines, so many levels deep; 0 is all of them. Long lists inside programs are cut short,
// those in trouble first.
func Tree(n api.TreeNode, p Paint, now time.Time, depth int) []string {
	if depth <= 0 {
		depth = math.MaxInt
	}
	return (&tree{p: p, now: now}).node(n, "", "", depth, false)
}

// tree is what drawing a node needs besides the node.
type tree struct {
	p   Paint
	now time.Time
}

// node draws n and what is below it; inside tells whether n is in a program.
func (t *tree) node(n api.TreeNode, first, rest string, depth int, inside bool) []string {
	line := first + t.line(n)
	if depth == 1 {
		if hidden := below(n); hidden > 0 {
			line += t.p.Dim(fmt.Sprintf("  … %d below", hidden))
		}
		return []string{line}
	}
	out := []string{line}
	inside = inside || n.Kind == api.NodeProcess
	children, more := n.Children, n.More
	if inside {
		children, more = n.Shown(listed)
	}
	for i, child := range children {
		a, b := "├─ ", "│  "
		if i == len(children)-1 && more == 0 {
			a, b = "└─ ", "   "
		}
		out = append(out, t.node(child, rest+a, rest+b, depth-1, inside)...)
	}
	if more > 0 {
		out = append(out, rest+"└─ "+t.p.Dim(fmt.Sprintf("… %d more", more)))
	}
	return out
}

// below counts what is under n.
func below(n api.TreeNode) int {
	count := n.More
	for _, c := range n.Children {
		count += 1 + below(c)
	}
	return count
}

func (t *tree) line(n api.TreeNode) string {
	p := t.p
	words := []string{OneLine(n.Name)}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if n.Kind == api.NodeSupervisor || n.Kind == api.NodeMachine {
		words[0] = p.Bold(words[0])
	}
	if n.Label != "" {
		add("%s", OneLine(n.Label))
	}
	if n.Process != "" {
		words[len(words)-1] += " " + p.Dim(OneLine(n.Process))
	}
	if n.Strategy != "" {
		add("%s", OneLine(n.Strategy))
	}
	if n.Intensity != "" {
		add("restarts %d (gives up after %s)", n.Window, n.Intensity)
	}
	if n.State != "" {
		words = append(words, t.state(n.State))
	}
	if n.PID != 0 {
		add("pid %d", n.PID)
	}
	if !n.StartedAt.IsZero() && n.PID != 0 {
		add("up %s", Span(t.now.Sub(n.StartedAt)))
	}
	words = append(words, t.inside(n)...)
	if n.Restarts > 0 {
		words = append(words, p.Warn(Plural(n.Restarts, "restart")))
	}
	if n.Reason != "" {
		why := "last end: " + OneLine(n.Reason)
		if n.Reason != string(semper.ReasonShutdown) {
			why = p.Bad(why)
		}
		words = append(words, why)
	}
	return strings.Join(words, "  ")
}

func (t *tree) state(word string) string {
	word = OneLine(word)
	switch word {
	case "running", "ready", "up":
		return t.p.Good(word)
	case "waiting", "ended", "failed", "backoff":
		return t.p.Bad(word)
	}
	return word
}

// inside is what only programs tell.
func (t *tree) inside(n api.TreeNode) (words []string) {
	if n.Mailbox > 0 {
		words = append(words, t.p.Warn(fmt.Sprintf("%d waiting", n.Mailbox)))
	}
	if n.Messages > 0 {
		words = append(words, fmt.Sprintf("%d handled", n.Messages))
	}
	if n.Dropped > 0 {
		words = append(words, t.p.Bad(fmt.Sprintf("%d dropped", n.Dropped)))
	}
	if len(n.Blocking) > 0 {
		words = append(words, t.p.Warn("its stop waits for "+OneLine(strings.Join(n.Blocking, ", "))))
	}
	if n.Abandoned > 0 {
		words = append(words, t.p.Bad(fmt.Sprintf("%d abandoned", n.Abandoned)))
	}
	if !n.StaleFrom.IsZero() {
		words = append(words, t.p.Warn("does not answer; as it was "+Span(t.now.Sub(n.StaleFrom))+" ago"))
	}
	return words
}
