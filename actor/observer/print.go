package observer

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"semper/supervise"
)

// Print draws a tree, one node a line, from the root down in the order of the Node:
//
//	shop  supervisor one_for_one, 1 of 3 restarts in 5s
//	├─ cart <17>  busy, 3 waiting, 812 handled, 1 restart (crash: panic: boom)
//	└─ jobs  supervisor simple_one_for_one, 0 of 3 restarts in 5s
//	   ├─ import <23>  idle, 5 handled
//	   └─ 4120 more
//
// What a program put into its texts cannot steer the terminal: control characters are left out.
func Print(w io.Writer, n Node) error {
	b := bufio.NewWriter(w)
	line(b, "", &n)
	branches(b, "", &n)
	for _, a := range n.Abandoned {
		fmt.Fprintf(b, "abandoned since %s: %s\n", a.Since.Format(time.RFC3339), plain(a.Path))
	}
	return b.Flush()
}

func branches(b *bufio.Writer, indent string, n *Node) {
	for i := range n.Children {
		joint, below := "├─ ", "│  "
		if i == len(n.Children)-1 && n.More == 0 {
			joint, below = "└─ ", "   "
		}
		line(b, indent+joint, &n.Children[i])
		branches(b, indent+below, &n.Children[i])
	}
	if n.More > 0 {
		fmt.Fprintf(b, "%s└─ %d more\n", indent, n.More)
	}
}

func line(b *bufio.Writer, indent string, n *Node) {
	fmt.Fprint(b, indent, plain(n.ID))
	if n.Label != "" {
		fmt.Fprintf(b, " (%s)", plain(n.Label))
	}
	if n.PID != "" {
		fmt.Fprintf(b, " %s", plain(n.PID))
	}
	if facts := n.facts(); len(facts) > 0 {
		fmt.Fprintf(b, "  %s", strings.Join(facts, ", "))
	}
	fmt.Fprintln(b)
}

// facts are what is worth saying of a node.
func (n *Node) facts() []string {
	var all []string
	add := func(say bool, format string, args ...any) {
		if say {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	runs := n.State == supervise.StateRunning.String()
	switch n.Kind {
	case Actor:
		add(!runs, "%s", plain(n.State))
		add(true, "%s", plain(string(n.Status)))
	case Supervisor:
		add(true, "%s %s", n.Kind, plain(n.Strategy))
		add(n.Strategy != "", "%d of %d restarts in %v", n.Window, n.Intensity, n.Period)
		add(!runs, "%s", plain(n.State))
	default:
		add(n.Kind != "", "%s", plain(string(n.Kind)))
		add(true, "%s", plain(n.State))
	}
	add(n.Mailbox > 0, "%d waiting", n.Mailbox)
	add(n.Messages > 0, "%d handled", n.Messages)
	add(n.Dropped > 0, "%d dropped", n.Dropped)
	add(n.Links > 0, "%d linked", n.Links)
	switch {
	case n.Restarts == 1:
		add(true, "1 restart")
	case n.Restarts > 1:
		add(true, "%d restarts", n.Restarts)
	}
	add(len(n.Blocking) > 0, "waits for %s", plain(strings.Join(n.Blocking, " ")))
	if n.Last != "" {
		last := "(" + plain(n.Last) + ")"
		if n.Restarts > 0 {
			all[len(all)-1] += " " + last
		} else {
			all = append(all, last)
		}
	}
	return all
}

// plain is a text on one line that cannot steer a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}
