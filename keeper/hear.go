package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"

	"semper"
	"semper/internal/notify"
	"semper/keeper/mark"
	"semper/keeper/wire"
)

// startHearing begins to take in what processes say of themselves, until the socket is closed or
// paused; hearing is closed when that has ended.
func (k *keeper) startHearing() {
	hearing := make(chan struct{})
	k.hearing = hearing
	k.goBackground(func() {
		defer close(hearing)
		k.hear()
	})
}

func (k *keeper) hear() {
	for {
		m, err := k.notify.Receive()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
				k.log.Error("sd_notify messages are not received any more", "error", err)
			}
			return
		}
		if m.Values["READY"] == "1" {
			k.heardReady(m)
		}
	}
}

func (k *keeper) heardReady(msg notify.Message) {
	mk, main := mark.Sender(msg.PID, k.held.Marker.ID)
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.whoseLocked(mk, main, msg.UID)
	if m == nil {
		k.log.Debug("message from a process that is none of ours", "pid", msg.PID)
		return
	}
	k.saidReadyLocked(m, msg.PID)
}

// saidReadyLocked takes in that the present incarnation of m is ready by its own word. pid is 0 while it is not known.
func (k *keeper) saidReadyLocked(m *member, pid int) {
	if m.rec.Notified {
		return
	}
	m.rec.Notified = true
	log := k.log.With("what", m.rec.Name)
	if pid != 0 {
		log = log.With("pid", pid)
	}
	log.Info("ready")
	k.saveLocked(m)
	k.changedLocked(m)
	if c := m.cur; c != nil && m.rec.Yields {
		k.goBackground(func() { k.compete(m, c) })
	}
	if m.rec.Part != nil && m.rec.Part.Kind == kindEdge {
		k.leadLocked()
		k.tellReady()
	}
}

// whoseLocked is the member a process of that mark or main process belongs to in the present incarnation, nil if none. uid
// is the user it speaks as: an instance may not speak for that of another user.
func (k *keeper) whoseLocked(mk mark.Mark, main []int, uid int) *member {
	m := k.tokens[mk.Token]
	if m == nil {
		m = k.mainLocked(main)
	}
	if m == nil || mk.Token != "" && mk.Incarnation != m.rec.Incarnation {
		return nil
	}
	if in := m.rec.Instance; in != nil && uid != 0 && uid != os.Getuid() && uid != in.UID {
		return nil
	}
	return m
}

// whose is [Client.Whose].
func (k *keeper) whose(r wire.PeerRequest) (semper.InstanceStatus, error) {
	mk, main := mark.Sender(r.PID, k.held.Marker.ID)
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.whoseLocked(mk, main, r.UID)
	if m == nil || m.rec.Instance == nil {
		return semper.InstanceStatus{}, &semper.Error{Code: semper.NotFound, Op: "identify", Message: fmt.Sprintf("process %d is of no instance", r.PID)}
	}
	return m.statusLocked(k), nil
}

// tellReady calls the option's Ready, once.
func (k *keeper) tellReady() {
	if k.o.Ready != nil {
		k.readyOnce.Do(func() { k.goBackground(k.o.Ready) })
	}
}

// mainLocked is the member whose main process is one of pids.
func (k *keeper) mainLocked(pids []int) *member {
	for _, pid := range pids {
		for _, m := range k.members {
			if m.cur != nil && m.cur.p != nil && m.rec.Identity.PID == pid {
				return m
			}
		}
	}
	return nil
}
