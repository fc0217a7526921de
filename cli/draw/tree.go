package draw

import (
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// Tree is the supervision tree as lines.
func Tree(n api.TreeNode, p Paint, now time.Time) []string {
	return drawNode(n, "", "", p, now)
}

func drawNode(n api.TreeNode, first, rest string, p Paint, now time.Time) []string {
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

func nodeLine(n api.TreeNode, p Paint, now time.Time) string {
	var s strings.Builder
	if n.Kind == "supervisor" {
		s.WriteString(p.Bold(n.Name))
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
			word = p.Good(word)
		case "waiting", "ended", "failed":
			word = p.Bad(word)
		}
		s.WriteString("  " + word)
	}
	if n.PID != 0 {
		fmt.Fprintf(&s, "  pid %d", n.PID)
	}
	if !n.StartedAt.IsZero() && n.PID != 0 {
		s.WriteString("  up " + Span(now.Sub(n.StartedAt)))
	}
	if n.Restarts > 0 {
		s.WriteString("  " + p.Warn(Plural(n.Restarts, "restart")))
	}
	if n.Reason != "" {
		why := "last end: " + OneLine(n.Reason)
		if n.Reason != string(semper.ReasonShutdown) {
			why = p.Bad(why)
		}
		s.WriteString("  " + why)
	}
	return s.String()
}
