package keeper

import (
	"log/slog"
	"time"

	"semper/keeper/sockets"
	"semper/keeper/wire"
)

// Options say what a keeper owns.
type Options struct {
	// Dir is the data directory. It is created when it does not exist.
	Dir string
	// HTTP and HTTPS are the public addresses, "host:port", ":port" or "port".
	HTTP, HTTPS []string
	// HTTP3 has the same ports of UDP as of HTTPS taken, for HTTP/3.
	HTTP3 bool
	// API is an address for the API in addition to DIR/api.sock. Empty: none.
	API string
	// EdgeArgs are the arguments of every edge, behind those that the keeper gives it. An edge that was started with others
	// is replaced by the steps of an upgrade.
	EdgeArgs []string
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

// UDP is what the names of the sockets of HTTP/3 begin with that an edge inherits; see steer.Grouped.
const UDP = sockets.HTTP3

// What a client of the keeper sees; package wire has both ends of it.
type (
	// A Client talks to the keeper of this machine.
	Client = wire.Client
	// A Part is one of semper's own processes.
	Part = wire.Part
	// A Node is one node of the supervision tree.
	Node = wire.Node
)

// NewClient is a client of the keeper that answers on the unix socket at path (DIR/run/keeper.sock).
// It does not connect.
func NewClient(socket string) *Client { return wire.NewClient(socket) }
