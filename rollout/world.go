package rollout

import (
	"time"

	"semper"
	"semper/rollout/quiesce"
)

// World is what is observed now. It is a value; Step never changes it.
type World struct {
	Now time.Time
	// Instances as judged now. Those absent are not known to the keeper.
	Instances map[semper.InstanceID]Instance
	// Staged tells of artifacts: nil error when unpacked and verified; absent while not known.
	Staged map[semper.Digest]error
	// Acked is the lowest epoch any live edge serves by; 0 when no edge is live.
	Acked semper.Epoch
	// InFlight is what instances have in hand, summed over edges. Only meaningful together with Acked.
	InFlight map[semper.InstanceID]semper.InFlight
	// NextEpoch is the one the next route table will have.
	NextEpoch semper.Epoch
	// Verdict is the newest of the judge on the environment's rollout; nil while there is none.
	Verdict *semper.Verdict
	// Releases the environments name.
	Releases map[semper.ReleaseName]semper.Release
}

// Instance is one instance as judged now.
type Instance struct {
	State    semper.InstanceState
	Restarts int
	LastEnd  *semper.End
	Why      string // why it is not ready, in words
	Address  string
	PID      int
	Ticks    uint64
	// Drained says of a worker with a broker of its own that it was told to take no more jobs and has none left.
	Drained bool
}

func (w World) ready(id semper.InstanceID) bool { return w.Instances[id].State == semper.Ready }

// Command is something to be done. All commands may be given and performed more than once.
type Command interface{ command() }

// Stage asks for an artifact to be unpacked and verified.
type Stage struct{ Artifact semper.Digest }

// Start asks for an instance to run.
type Start struct{ Spec semper.InstanceSpec }

// Stop asks for an instance to end.
type Stop struct {
	ID  semper.InstanceID
	Why string
}

// Quiesce asks for a worker to be told to take no more jobs, and to be looked at until it has none.
type Quiesce struct {
	ID    semper.InstanceID
	Terms quiesce.Terms
}

func (Stage) command()   {}
func (Start) command()   {}
func (Stop) command()    {}
func (Quiesce) command() {}

// Decision is what Step wants: the environment to store, the events that say why it changed, and
// what to do once it is stored.
type Decision struct {
	Env      semper.Environment
	Changed  bool
	Events   []semper.Event
	Commands []Command
	// Wake is when to look again though nothing else happened; zero for never.
	Wake time.Time
	// Waiting is what the rollout waits for, in words.
	Waiting string
}
