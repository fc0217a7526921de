package observer

import (
	"context"
	"fmt"
	"time"

	"semper/actor"
)

// ProcessInfo is all that is known of one process, in texts and numbers.
type ProcessInfo struct {
	PID       string       `json:"pid"`
	Label     string       `json:"label,omitempty"`
	Path      string       `json:"path,omitempty"` // of ids from the root, or PID.Path outside a tree
	Status    actor.Status `json:"status"`
	Since     time.Time    `json:"since,omitzero"`     // its start
	Mailbox   int          `json:"mailbox,omitempty"`  // messages that wait
	Messages  uint64       `json:"messages,omitempty"` // handled
	Dropped   uint64       `json:"dropped,omitempty"`
	Links     []string     `json:"links,omitempty"`
	Monitors  int          `json:"monitors,omitempty"`   // processes it watches
	WatchedBy int          `json:"watched_by,omitempty"` // monitors on it
	OpenCalls int          `json:"open_calls,omitempty"` // calls taken and not answered yet
	TrapExit  bool         `json:"trap_exit,omitempty"`
	Ancestors []string     `json:"ancestors,omitempty"` // who started it, nearest first
	Reason    string       `json:"reason,omitempty"`    // why it ended, when it has
	// State is its Server as its Redactor shows it, or as %+v does when it has none, cut at 64 KiB. Why there is none
	// is in StateError.
	State      string `json:"state,omitempty"`
	StateError string `json:"state_error,omitempty"`
}

const maxState = 64 << 10

// Process tells of one process. For its state it waits until the callback that runs has returned, or ctx ends; what can
// be known without that is told all the same. The error is actor.ErrNoProc for the zero PID.
func Process(ctx context.Context, id actor.PID) (ProcessInfo, error) {
	if id == (actor.PID{}) {
		return ProcessInfo{}, actor.ErrNoProc
	}
	i := id.Info()
	p := ProcessInfo{
		PID: pidText(id), Label: cut(i.Label, maxText), Path: cut(id.Path(), maxText), Status: i.Status, Since: i.Since,
		Mailbox: i.Mailbox, Messages: i.Messages, Dropped: i.Dropped, Links: neighbours(i.Links), Monitors: i.Monitors,
		WatchedBy: i.WatchedBy, OpenCalls: i.OpenCalls, TrapExit: i.TrapExit, Ancestors: cutAll(i.Ancestors),
	}
	if !id.Alive() {
		p.Reason = cut(id.Reason().String(), maxWhy)
	}
	err := id.State(ctx, func(server any) {
		if r, ok := server.(actor.Redactor); ok {
			server = r.Redact(server)
		}
		p.State = cut(fmt.Sprintf("%+v", server), maxState)
	})
	if err != nil {
		p.StateError = cut(err.Error(), maxWhy)
	}
	return p, nil
}

func neighbours(links []actor.PID) []string {
	var all []string
	for _, id := range links[:min(len(links), maxList)] {
		all = append(all, cut(id.String(), maxText))
	}
	return all
}

func cutAll(texts []string) []string {
	var all []string
	for _, s := range texts[:min(len(texts), maxList)] {
		all = append(all, cut(s, maxText))
	}
	return all
}
