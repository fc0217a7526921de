package journal

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/unit/process"
)

// Desired is what should become of a process.
type Desired string

// The desires.
const (
	Run  Desired = "run"
	Stop Desired = "stop" // asked to end, or ended: never started again
)

// A Record is everything the next keeper has to know about one process.
type Record struct {
	Name    string  `json:"name"` // an instance id, or a part's id
	Desired Desired `json:"desired"`
	// Token marks every incarnation's process (and what it starts) together with its number. It is on disk
	// before the first start, so a process started a moment before the keeper died can be found.
	Token       string `json:"token"`
	Incarnation int64  `json:"incarnation"`
	Restarts    int    `json:"restarts"`
	// Identity of the running process; PID 0 when none ran when the record was written.
	Identity  process.Identity `json:"identity"`
	Boot      string           `json:"boot,omitempty"` // of the machine, that Identity belongs to
	StartedAt time.Time        `json:"started_at,omitzero"`
	Notified  bool             `json:"notified,omitempty"`
	Yields    bool             `json:"yields,omitempty"`  // it starts on processor time that nobody else wants
	Warning   string           `json:"warning,omitempty"` // a protection this incarnation does not have
	LastEnd   *semper.End      `json:"last_end,omitempty"`
	Ended     bool             `json:"ended,omitempty"` // by itself, and will not be restarted

	Instance *Instance `json:"instance,omitempty"` // exactly one of
	Part     *Part     `json:"part,omitempty"`     // the two
}

// Instance is what an instance's record has besides.
type Instance struct {
	Spec    semper.InstanceSpec `json:"spec"`
	Port    int                 `json:"port,omitempty"`
	Socket  string              `json:"socket,omitempty"`
	UID     int                 `json:"uid"` // -1: the keeper's own user
	GID     int                 `json:"gid"`
	Groups  []int               `json:"groups,omitempty"`
	Warning string              `json:"warning,omitempty"`
}

// Part is what a part's record has besides.
type Part struct {
	Kind      string   `json:"kind"`
	Build     string   `json:"build"`          // of the binary, and the upgrade that started it
	Listeners string   `json:"listeners"`      // the sockets it was given
	Args      []string `json:"args,omitempty"` // behind those of every part
	Binary    string   `json:"binary"`
	Version   string   `json:"version"`
	Draining  bool     `json:"draining,omitempty"`
	Slot      int      `json:"slot,omitempty"` // of an edge, in the groups of UDP sockets: see package steer
}

// StopSignal is what asks the process to end.
func (r Record) StopSignal() syscall.Signal {
	if r.Instance != nil {
		return unix.SignalNum(r.Instance.Spec.Spec.Stop.Signal)
	}
	return syscall.SIGTERM
}
