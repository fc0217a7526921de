package pipeline

import (
	"time"

	"semper"
	"semper/pipeline/course"
)

// World is what is observed now. It is a value; Step never changes it.
type World struct {
	Now time.Time
	// Stopped says why the line is stopped; empty while it runs.
	Stopped string
	// InForce is the pipeline as it is now; the run goes by its own, and enters by this one.
	InForce semper.Pipeline
	// Environments of the app, by name.
	Environments map[string]semper.Environment
	// Units are the gates' commands that the keeper knows of.
	Units map[semper.InstanceID]Unit
	// Answers are what URLs and reports have said, by [Ask.Key] and [Read.Key].
	Answers map[string]Answer
	// Others are the other runs of the app.
	Others []course.Run
	// Proofs about the run's release.
	Proofs []Proof
}

// A Unit is a gate's command as its keeper sees it.
type Unit struct {
	Ended bool
	End   *semper.End // of the command, once it has ended
	// Scratch is the directory that the command may write to.
	Scratch string
}

// An Answer is what came of a question.
type Answer struct {
	Good bool
	What string // "200", "connection refused", "2 of 40 tests failed: cart.adds, cart.removes"
}

// Command is something to be done. All commands may be given and performed more than once.
type Command interface{ command() }

// Start asks for a gate's command to run, once.
type Start struct{ Spec semper.InstanceSpec }

// Stop asks for a gate's command to end.
type Stop struct {
	ID  semper.InstanceID
	Why string
}

// Ask asks a URL again and again, until it answers as it is expected to or the time is over.
type Ask struct {
	Key    string // of the answer: unique for ever
	URL    string
	Expect int
	Until  time.Time
}

// Read asks for what a gate's command, which has ended, says in its JUnit report.
type Read struct {
	Key  string // of the answer: unique for ever
	Dir  string // the command's scratch
	Path string // below Dir
}

func (Start) command() {}
func (Stop) command()  {}
func (Ask) command()   {}
func (Read) command()  {}

// Decision is what Step wants: the run to store, with the statements and events that belong to it, and what to do once it is
// stored.
type Decision struct {
	Run        course.Run
	Changed    bool
	Events     []semper.Event
	Statements []Passed
	Commands   []Command
	// Deploy is set when the environment of the present stage is to be moved to the release: by the same transaction, whose run
	// is then what [Entered] makes of Run.
	Deploy string
	// Wake is when to look again though nothing else happened; zero for never.
	Wake time.Time
	// Waiting is what the run waits for, in words; Person, that it is somebody's yes.
	Waiting string
	Person  bool
}
