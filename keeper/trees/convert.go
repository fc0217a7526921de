package trees

import (
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/actor/observer"
	"semper/api"
)

// What of a program's texts is kept. Control has some hundred reports in memory, and a tree is drawn line by line.
const (
	maxLine  = 512      // bytes of a name or a reason
	maxText  = 8 << 10  // of a message or a state
	maxStack = 12 << 10 // of a stack
	maxList  = 32       // texts of a list
)

// Node is what a program says, as a part of the one tree.
func (p Program) Node() api.TreeNode {
	n := node(p.Tree)
	n.StaleFrom = p.From
	n.Abandoned = len(p.Tree.Abandoned)
	return n
}

func node(o observer.Node) api.TreeNode {
	n := api.TreeNode{
		Name: cut(o.ID, maxLine), Kind: kind(o.Kind), Strategy: cut(o.Strategy, maxLine), Window: o.Window, State: cut(o.State, maxLine),
		Process: cut(o.PID, maxLine), Restarts: o.Restarts, StartedAt: o.Since, Reason: cut(o.Last, maxLine), Mailbox: o.Mailbox,
		Messages: o.Messages, Dropped: o.Dropped, Blocking: texts(o.Blocking), More: max(o.More, 0),
	}
	if o.Label != o.ID && !strings.HasSuffix(o.Label, "/"+o.ID) { // a supervisor is called by its path
		n.Label = cut(o.Label, maxLine)
	}
	if o.Period > 0 {
		n.Intensity = fmt.Sprintf("%d in %v", o.Intensity, o.Period)
	}
	for _, c := range o.Children {
		n.Children = append(n.Children, node(c))
	}
	return n
}

// kind is k if it is known; a program may be newer than its keeper.
func kind(k observer.Kind) string {
	switch k {
	case observer.Supervisor, observer.Actor, observer.Service:
		return string(k)
	}
	return api.NodeChild
}

// Report is the crash report of an actor. Whose it is, and what became of the process, is left to the keeper.
func Report(c observer.Crash, now time.Time) semper.CrashReport {
	at := c.At
	if at.IsZero() || at.After(now) {
		at = now
	}
	return semper.CrashReport{
		At: at, Uptime: semper.Duration(max(c.Uptime, 0)), Decision: "left to its supervisor in the program",
		Reason: semper.Reason{Kind: semper.ReasonCrash, Detail: cut(strings.TrimPrefix(c.Reason, "crash: "), maxLine)},
		Actor: &semper.ActorCrash{
			Process: cut(c.PID, maxLine), Label: cut(c.Label, maxLine), Path: cut(c.Path, maxLine),
			LastMessage: cut(c.LastMessage, maxText), State: cut(c.State, maxText), Mailbox: c.Mailbox, Waiting: texts(c.Waiting),
			Messages: c.Messages, Ancestors: texts(c.Ancestors), Links: texts(c.Links), Stack: cut(c.Stack, maxStack), Dropped: c.Dropped,
		},
	}
}

func texts(of []string) []string {
	var out []string
	for _, s := range of[:min(len(of), maxList)] {
		out = append(out, cut(s, maxLine))
	}
	return out
}

// cut is s with at most limit bytes and the sign that there was more.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit-len("…")] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
