package wire

import (
	"time"

	"semper"
	"semper/api"
)

// A Part is one of semper's own processes.
type Part struct {
	Kind      string    `json:"kind"` // "keeper", "store", "control", "queue" or "edge"
	ID        string    `json:"id"`   // "keeper", "store", "control-1", "edge-2"
	PID       int       `json:"pid,omitempty"`
	Socket    string    `json:"socket,omitempty"` // where it answers
	Ready     bool      `json:"ready"`            // READY=1 heard from this incarnation
	Draining  bool      `json:"draining,omitempty"`
	Binary    string    `json:"binary"`
	Version   string    `json:"version,omitempty"` // of the keeper that started it
	Restarts  int       `json:"restarts"`
	StartedAt time.Time `json:"started_at,omitzero"`
}

// A Node is one node of the supervision tree, in the API's words.
type Node = api.TreeNode

// The bodies of the keeper's HTTP API, one per method that needs one.
type (
	StopRequest struct {
		ID  semper.InstanceID `json:"id"`
		Why string            `json:"why,omitempty"`
	}
	ReadyRequest struct {
		ID          semper.InstanceID `json:"id"`
		Incarnation int64             `json:"incarnation"`
		Own         bool              `json:"own,omitempty"` // by its own word, as READY=1 is
	}
	SignalRequest struct {
		ID     semper.InstanceID `json:"id"`
		Signal string            `json:"signal"`
	}
	PeerRequest struct {
		PID int `json:"pid"`
		UID int `json:"uid"`
	}
	KillRequest struct {
		ID     semper.InstanceID `json:"id"`
		Reason semper.Reason     `json:"reason"`
	}
	ExecRequest struct {
		ID      semper.InstanceID `json:"id"`
		Argv    []string          `json:"argv"`
		Timeout semper.Duration   `json:"timeout"`
	}
	ExecResponse struct {
		Code   int    `json:"code"`
		Output string `json:"output"`
	}
	AckRequest struct {
		IDs []string `json:"ids"`
	}
	UpgradeRequest struct {
		Binary string `json:"binary"`
	}
	UpgradeBegun struct {
		ID string `json:"id"`
	}
	ShutdownRequest struct {
		Instances bool `json:"instances"`
	}
	ErrorResponse struct {
		Error semper.Error `json:"error"`
	}
)
