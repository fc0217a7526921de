package keeper

import (
	"log/slog"
	"time"

	"semper"
)

// Options say what a keeper owns.
type Options struct {
	// Dir is the data directory. It is created when it does not exist.
	Dir string
	// HTTP and HTTPS are the public addresses, "host:port", ":port" or "port".
	HTTP, HTTPS []string
	// API is an address for the API in addition to DIR/api.sock. Empty: none.
	API string
	// Binary is the path of the running executable: parts are started from it.
	Binary string
	// Log gets what the keeper itself has to say. Nil: discarded.
	Log *slog.Logger
	// Ready is called once, when the keeper answers on its socket and an edge has said it is ready.
	Ready func()
	// StopAllOnSignal says that the end of Run's context ends everything, in order, as for a
	// semper in the foreground. Otherwise everything is left running for the next keeper.
	StopAllOnSignal bool
	// ReadyWithin is how long a part that is to replace another may take to say it is ready before the
	// other one is kept. Zero: 60s.
	ReadyWithin time.Duration
}

// A Part is one of semper's own processes.
type Part struct {
	Kind      string    `json:"kind"` // "keeper", "store", "control" or "edge"
	ID        string    `json:"id"`   // "keeper", "store", "control-1", "edge-2"
	PID       int       `json:"pid,omitempty"`
	Socket    string    `json:"socket,omitempty"` // where it answers
	Ready     bool      `json:"ready"`            // READY=1 heard from this incarnation
	Draining  bool      `json:"draining,omitempty"`
	Binary    string    `json:"binary"`
	Version   string    `json:"version,omitempty"` // what it said of itself in STATUS=version …, else the keeper's when it was started
	Restarts  int       `json:"restarts"`
	StartedAt time.Time `json:"started_at,omitzero"`
}

// A Node is one node of the supervision tree: a supervisor or a process. Its fields are those of the
// API's tree node.
type Node struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"` // "supervisor", "process"
	Strategy  string    `json:"strategy,omitempty"`
	Intensity string    `json:"intensity,omitempty"` // "5 in 1m0s"
	Window    int       `json:"restarts_in_window"`
	State     string    `json:"state"`
	PID       int       `json:"pid,omitempty"`
	Restarts  int       `json:"restarts"`
	StartedAt time.Time `json:"started_at,omitzero"`
	Reason    string    `json:"reason,omitempty"` // last end
	Children  []Node    `json:"children,omitempty"`
}

// The bodies of the keeper's HTTP API, one per method that needs one.
type (
	stopRequest struct {
		ID  semper.InstanceID `json:"id"`
		Why string            `json:"why,omitempty"`
	}
	killRequest struct {
		ID     semper.InstanceID `json:"id"`
		Reason semper.Reason     `json:"reason"`
	}
	execRequest struct {
		ID      semper.InstanceID `json:"id"`
		Argv    []string          `json:"argv"`
		Timeout semper.Duration   `json:"timeout"`
	}
	execResponse struct {
		Code   int    `json:"code"`
		Output string `json:"output"`
	}
	ackRequest struct {
		IDs []string `json:"ids"`
	}
	upgradeRequest struct {
		Binary string `json:"binary"`
	}
	upgradeBegun struct {
		ID string `json:"id"`
	}
	shutdownRequest struct {
		Instances bool `json:"instances"`
	}
	errorResponse struct {
		Error semper.Error `json:"error"`
	}
)
