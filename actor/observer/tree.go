package observer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"semper/actor"
	"semper/supervise"
)

// limits of a tree; what is over them is counted.
type limits struct {
	children int // of one supervisor
	nodes    int // of all
	depth    int // of supervisors
}

var treeLimits = limits{children: 1000, nodes: 10_000, depth: 50}

// Tree describes what runs below root, which is a *supervise.Supervisor, *supervise.Dynamic or *supervise.Partitions, or
// any other child, and root itself. It may be called at any time from any goroutine, and never waits for a child.
func Tree(root supervise.Child) Node {
	n, _ := tree(root, treeLimits)
	return n
}

// tree is Tree with its limits, and the number of children there were, listed or not.
func tree(root supervise.Child, l limits) (Node, int) {
	if root == nil {
		return Node{ID: "root", Kind: Child, State: "ended"}, 0
	}
	type open struct {
		node  *Node
		child parent
		depth int
	}
	top := rooted(root)
	var next []open
	if p, ok := root.(parent); ok {
		next = append(next, open{&top, p, 1})
	}
	left, all := l.nodes-1, 0
	// Level by level, so that a broad subtree does not take the room of those above it.
	for ; len(next) > 0; next = next[1:] {
		at := next[0]
		infos := at.child.Children()
		all += len(infos)
		room := min(l.children, left)
		if at.depth > l.depth {
			room = 0
		}
		nodes, kept := worst(infos, room)
		at.node.Children, at.node.More = nodes, len(infos)-len(nodes)
		left -= len(nodes)
		for i := range nodes {
			if p, ok := kept[i].Child.(parent); ok {
				next = append(next, open{&nodes[i], p, at.depth + 1})
			}
		}
	}
	return top, all
}

// worst makes nodes of at most room children, and returns these children too.
func worst(infos []supervise.ChildInfo, room int) ([]Node, []supervise.ChildInfo) {
	if room <= 0 {
		return nil, nil
	}
	if len(infos) > room {
		rank := make([]int8, len(infos))
		order := make([]int, len(infos))
		for i := range infos {
			n := supervised(infos[i])
			rank[i], order[i] = int8(n.trouble()), i
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(rank[b], rank[a]), cmp.Compare(a, b))
		})
		chosen := make([]supervise.ChildInfo, room)
		for i, at := range order[:room] {
			chosen[i] = infos[at]
		}
		infos = chosen
	}
	nodes := make([]Node, len(infos))
	for i := range infos {
		nodes[i] = supervised(infos[i])
	}
	return nodes, infos
}

// prune leaves at most so many children below each node.
func (n *Node) prune(children int) {
	if len(n.Children) > children {
		slices.SortStableFunc(n.Children, func(a, b Node) int { return cmp.Compare(b.trouble(), a.trouble()) })
		n.More += len(n.Children) - children
		n.Children = n.Children[:children:children]
	}
	for i := range n.Children {
		n.Children[i].prune(children)
	}
}

const maxSearch = 2_000_000 // children looked at for one process that is asked for

// find looks for a process below root, at up to budget children. It returns the path of its ids from the root on, and
// how many children it looked at.
func find(root supervise.Child, budget int, is func(actor.PID) bool) (id actor.PID, path string, seen int) {
	var look func(c supervise.Child, path []string, depth int) bool
	look = func(c supervise.Child, at []string, depth int) bool {
		switch c := c.(type) {
		case process:
			if is(c.PID()) {
				id, path = c.PID(), strings.Join(at, "/")
				return true
			}
		case parent:
			if depth > treeLimits.depth {
				return false
			}
			infos := c.Children()
			for _, i := range infos {
				if seen++; seen > budget {
					return true
				}
				if i.Child != nil && look(i.Child, append(at, cut(i.ID, maxText)), depth+1) {
					return true
				}
			}
		}
		return false
	}
	if root != nil {
		look(root, []string{rootName(root)}, 0)
	}
	return id, path, seen
}

func rootName(root supervise.Child) string {
	var n Node
	if n.flags(root); n.Label != "" {
		return n.Label
	}
	return "root"
}

// pidText is how the protocol names a process.
func pidText(id actor.PID) string { return pidOf(id.Number()) }

func pidOf(number uint64) string { return fmt.Sprintf("<%d>", number) }

// pidNumber reads what pidText wrote, and also what PID.String gives.
func pidNumber(text string) (uint64, error) {
	inner, opened := strings.CutPrefix(text, "<")
	inner, isClosed := strings.CutSuffix(inner, ">")
	digits, _, _ := strings.Cut(inner, " ")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n == 0 || opened != isClosed {
		return 0, fmt.Errorf("%q is no pid: want one as in the tree, such as <17>", cut(text, maxText))
	}
	return n, nil
}
