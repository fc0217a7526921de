package observer

import (
	"fmt"
	"time"
	"unicode/utf8"

	"semper/actor"
	"semper/supervise"
)

// Kind says what a Node is.
type Kind string

// The kinds of a Node.
const (
	Supervisor Kind = "supervisor"
	Actor      Kind = "actor"   // a process of package actor
	Service    Kind = "service" // a goroutine, as of supervise.Serve
	Child      Kind = "child"   // anything else, and what does not run
)

// A Node is one part of a tree. Which fields mean something depends on the Kind: those of its supervisor's view stand for
// all, the others are said below.
type Node struct {
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	Label string `json:"label,omitempty"` // of a process; of a supervisor its name, if it is not the ID
	PID   string `json:"pid,omitempty"`   // of a process
	// State is what its supervisor says of it: running, restarting, backoff and so on. The root, which has none, is
	// running, stopping or ended.
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"` // when State began; unknown of the root
	Restarts int       `json:"restarts,omitempty"`
	Ends     int       `json:"ends,omitempty"` // incarnations that ended so far
	Last     string    `json:"last,omitempty"` // why the last one ended, or the last attempt to start one failed

	// Of a supervisor.
	Strategy  string        `json:"strategy,omitempty"`  // as in OTP, simple_one_for_one for a Dynamic
	Intensity int           `json:"intensity,omitempty"` // restarts allowed within Period
	Period    time.Duration `json:"period,omitempty"`    // in JSON as nanoseconds
	Window    int           `json:"window,omitempty"`    // restarts that count now
	Blocking  []string      `json:"blocking,omitempty"`  // who blocks its stop
	Abandoned []Abandoned   `json:"abandoned,omitempty"` // of the root only, for the whole tree

	// Of a process.
	Mailbox  int          `json:"mailbox,omitempty"`  // messages that wait
	Messages uint64       `json:"messages,omitempty"` // handled
	Dropped  uint64       `json:"dropped,omitempty"`
	Links    int          `json:"links,omitempty"`
	Status   actor.Status `json:"status,omitempty"`

	Children []Node `json:"children,omitempty"` // in start order, or those in trouble first when there are More
	More     int    `json:"more,omitempty"`     // children that are not listed
}

// Abandoned is one incarnation that was killed and still has a goroutine that has not returned.
type Abandoned struct {
	Path  string    `json:"path"` // the ids from below the root, joined by "/"
	Since time.Time `json:"since"`
}

const (
	maxText = 256  // bytes of an id, a label, a path
	maxWhy  = 1024 // bytes of a reason
	maxList = 100  // entries of a list of names
)

// cut shortens a text to at most about limit bytes, between two characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:end], len(s))
}

// parent is what supervisors have in common.
type parent interface {
	supervise.Child
	Children() []supervise.ChildInfo
	Window() int
	Blocking() []string
	Abandoned() []supervise.Abandoned
}

// process is a child that is a process of package actor.
type process interface{ PID() actor.PID }

// rooted is the node of a child that no supervisor describes.
func rooted(c supervise.Child) Node {
	n := Node{ID: "root", State: "running"}
	select {
	case <-c.Done():
		n.State, n.Last = "ended", cut(c.Reason().String(), maxWhy)
	default:
	}
	n.describe(c)
	if n.Label != "" {
		n.ID, n.Label = n.Label, ""
	}
	if len(n.Blocking) > 0 {
		n.State = supervise.StateStopping.String()
	}
	if p, ok := c.(parent); ok {
		for _, a := range p.Abandoned() {
			if len(n.Abandoned) == maxList {
				break
			}
			n.Abandoned = append(n.Abandoned, Abandoned{Path: cut(a.Path, maxText), Since: a.Since})
		}
	}
	return n
}

// supervised is the node of a child as its supervisor describes it.
func supervised(i supervise.ChildInfo) Node {
	n := Node{ID: cut(i.ID, maxText), Kind: Child, State: i.State.String(), Since: i.Since, Restarts: i.Restarts, Ends: i.Ends}
	switch {
	case i.Err != nil:
		n.Last = cut("start: "+i.Err.Error(), maxWhy)
	case i.Ends > 0:
		n.Last = cut(i.Last.String(), maxWhy)
	}
	if i.Supervisor {
		n.Kind = Supervisor // also while it does not run
	}
	if i.Child != nil {
		n.describe(i.Child)
	}
	if n.Label == n.ID {
		n.Label = ""
	}
	return n
}

// describe adds what the child itself says.
func (n *Node) describe(c supervise.Child) {
	switch c := c.(type) {
	case process:
		n.process(c.PID().Info())
	case parent:
		n.Kind, n.Window = Supervisor, c.Window()
		n.flags(c)
		for _, who := range c.Blocking() {
			if len(n.Blocking) == maxList {
				break
			}
			n.Blocking = append(n.Blocking, cut(who, maxText))
		}
	case supervise.Abandonable:
		n.Kind = Service
	default:
		if n.Kind == "" {
			n.Kind = Child
		}
	}
}

func (n *Node) flags(c supervise.Child) {
	switch c := c.(type) {
	case *supervise.Supervisor:
		f := c.Flags()
		n.Label, n.Strategy, n.Intensity, n.Period = f.Name, f.Strategy.String(), f.Intensity, f.Period
	case *supervise.Dynamic:
		f := c.Flags()
		n.Label, n.Strategy, n.Intensity, n.Period = f.Name, "simple_one_for_one", f.Intensity, f.Period
	case *supervise.Partitions:
		f := c.Flags()
		n.Label, n.Strategy, n.Intensity, n.Period = f.Name, f.Strategy.String(), f.Intensity, f.Period
	}
	n.Label = cut(n.Label, maxText)
}

func (n *Node) process(i actor.Info) {
	n.Kind, n.PID, n.Label, n.Status = Actor, pidText(i.PID), cut(i.Label, maxText), i.Status
	n.Mailbox, n.Messages, n.Dropped, n.Links = i.Mailbox, i.Messages, i.Dropped, len(i.Links)
}

// trouble is how much a node wants to be looked at.
func (n *Node) trouble() int {
	switch {
	case n.Status == actor.StatusAbandoned, n.State == supervise.StateBackoff.String(), n.State == supervise.StateRestarting.String():
		return 5
	case n.Status == actor.StatusSuspended, n.State == supervise.StateStopping.String(), n.Dropped > 0:
		return 4
	case n.Mailbox >= deep, n.State == supervise.StateUndefined.String() && n.Last != "":
		return 3
	case n.Restarts > 0, n.Window > 0, n.Kind == Supervisor:
		return 2
	case n.Mailbox > 0, n.State != supervise.StateRunning.String():
		return 1
	}
	return 0
}

const deep = 100 // messages that wait are a backlog
