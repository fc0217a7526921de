package keeper

import (
	"strconv"
	"strings"
	"sync"

	"semper"
	"semper/keeper/journal"
	"semper/keeper/trees"
	"semper/supervise"
)

// A member is one thing the keeper keeps running: an instance or a part. Its incarnations come and go.
type member struct {
	// op serialises starting, stopping and forgetting this member. It may be held while waiting.
	op sync.Mutex

	// All below is guarded by keeper.mu.

	rec     journal.Record
	state   semper.InstanceState
	cur     *incarnation // the one that runs, or has ended and the supervisor not been told yet
	adopted *incarnation // what the first start hands over instead of starting
	gone    bool         // forgotten; whoever still has the pointer must not revive it
	limit   supervise.Flags
	bounder bounders
	inside  trees.Budget // of crashes inside its program
	crashes int          // inside its program, on disk
}

// statusLocked is an instance's status.
func (m *member) statusLocked(k *keeper) semper.InstanceStatus {
	r, in := m.rec, m.rec.Instance
	st := semper.InstanceStatus{
		Spec: in.Spec, State: m.state, Incarnation: r.Incarnation, Restarts: r.Restarts,
		Crashes: m.crashes, LogPath: k.dir.InstanceLog(in.Spec.ID), Scratch: k.dir.Scratch(in.Spec.ID), Warning: in.Warning, Address: addressOf(in),
	}
	if r.LastEnd != nil {
		end := *r.LastEnd
		st.LastEnd = &end
	}
	if m.cur != nil && m.cur.p != nil {
		st.PID, st.StartTicks = r.Identity.PID, r.Identity.StartTicks
		st.StartedAt, st.Notified = r.StartedAt, r.Notified
		st.Warning = strings.Trim(st.Warning+"; "+r.Warning, "; ")
	}
	return st
}

func addressOf(in *journal.Instance) string {
	switch {
	case in.Socket != "":
		return "unix:" + in.Socket
	case in.Port != 0:
		return "127.0.0.1:" + strconv.Itoa(in.Port)
	}
	return ""
}

// addLocked makes m known.
func (k *keeper) addLocked(m *member) {
	k.members[m.rec.Name] = m
	k.tokens[m.rec.Token] = m
}

// dropLocked makes m unknown.
func (k *keeper) dropLocked(m *member) {
	m.gone = true
	delete(k.members, m.rec.Name)
	delete(k.tokens, m.rec.Token)
}

// saveLocked journals m as it is now, without waiting. The copy is the writer's own.
func (k *keeper) saveLocked(m *member) { k.journal.Put(m.copyLocked()) }

func (m *member) copyLocked() journal.Record {
	r := m.rec
	if r.Instance != nil {
		in := *r.Instance
		r.Instance = &in
	}
	if r.Part != nil {
		p := *r.Part
		r.Part = &p
	}
	return r
}
