package observer

import (
	"time"

	"semper/actor"
)

// A Crash is a crash report as it goes to semper: in texts, each of limited length.
type Crash struct {
	At          time.Time     `json:"at"`
	PID         string        `json:"pid,omitempty"` // none of a service, see Services
	Label       string        `json:"label,omitempty"`
	Path        string        `json:"path,omitempty"` // of ids from the root; PID.Path where the tree is too large to search
	Reason      string        `json:"reason"`
	LastMessage string        `json:"last_message,omitempty"` // what was being handled
	State       string        `json:"state,omitempty"`
	Mailbox     int           `json:"mailbox,omitempty"` // messages that waited
	Waiting     []string      `json:"waiting,omitempty"` // the first of them
	Messages    uint64        `json:"messages,omitempty"`
	Uptime      time.Duration `json:"uptime_ns,omitempty"`
	Ancestors   []string      `json:"ancestors,omitempty"`
	Links       []string      `json:"links,omitempty"`
	Stack       string        `json:"stack,omitempty"`   // of a panic
	Dropped     uint64        `json:"dropped,omitempty"` // crashes before this one that were not reported, for want of room
}

const (
	maxReason  = 4 << 10
	maxMessage = 4 << 10
	maxWaiting = 10
	maxStack   = 32 << 10
)

func crashOf(r actor.CrashReport, path string) Crash {
	c := Crash{
		At: r.At, Label: cut(r.Label, maxText), Path: cut(path, 2*maxText), Reason: cut(r.Reason.String(), maxReason),
		LastMessage: cut(r.LastMessage, maxMessage), State: cut(r.State, maxMessage), Mailbox: r.Mailbox, Messages: r.Messages,
		Uptime: r.Uptime, Ancestors: cutAll(r.Ancestors), Stack: cut(r.Stack, maxStack),
	}
	if r.PID.Number() != 0 { // a service has none
		c.PID = pidText(r.PID)
	}
	for _, m := range r.Waiting[:min(len(r.Waiting), maxWaiting)] {
		c.Waiting = append(c.Waiting, cut(m, maxMessage))
	}
	for _, i := range r.Links[:min(len(r.Links), maxList)] {
		c.Links = append(c.Links, cut(i.PID.String(), maxText))
	}
	return c
}
