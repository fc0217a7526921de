package semper

import (
	"cmp"
	"fmt"
	"time"
)

// InstanceID names one running copy of a service of a release: "bar/web.r42.3", the app before the
// slash. It is never given to a second copy of a different generation.
type InstanceID string

// NameInstance is the id of copy n of a service of a release.
func NameInstance(app, service string, release ReleaseName, n int) InstanceID {
	return InstanceID(fmt.Sprintf("%s/%s.%s.%d", app, service, release, n))
}

// InstanceState is where an instance is in its life. Only Ready ones get work (law L3).
type InstanceState string

// The states of an instance.
const (
	Starting InstanceState = "starting" // its process runs, or is about to; not ready yet
	Ready    InstanceState = "ready"
	NotReady InstanceState = "not-ready" // was ready; its check fails now
	Waiting  InstanceState = "waiting"   // ended; its supervisor waits out the back-off
	Stopping InstanceState = "stopping"
	Ended    InstanceState = "ended" // ended and will not be restarted
)

// ReasonKind classifies an end.
type ReasonKind string

// The kinds of end. Normal and Shutdown are not abnormal.
const (
	ReasonNormal   ReasonKind = "normal"   // exit code 0
	ReasonShutdown ReasonKind = "shutdown" // was asked to end and did
	ReasonKilled   ReasonKind = "killed"   // was asked to end, did not within its timeout, was killed
	ReasonExit     ReasonKind = "exit"     // exit code other than 0
	ReasonSignal   ReasonKind = "signal"   // ended by a signal nobody of semper sent
	ReasonOOM      ReasonKind = "oom"      // killed for memory
	ReasonHealth   ReasonKind = "health"   // killed by semper because its liveness check failed
	ReasonDeadline ReasonKind = "deadline" // had not ended when its time was over (InstanceSpec.Until)
	ReasonStart    ReasonKind = "start"    // could not be started at all
	ReasonUnknown  ReasonKind = "unknown"  // ended while nobody could see how
	ReasonCrash    ReasonKind = "crash"    // a panic or an error inside a program, which itself goes on
)

// Reason is why a unit ended: one type for goroutine, process, container and node.
type Reason struct {
	Kind   ReasonKind `json:"kind"`
	Code   int        `json:"code,omitempty"`   // exit code, for ReasonExit
	Signal string     `json:"signal,omitempty"` // "SIGSEGV", for ReasonSignal and ReasonKilled
	Detail string     `json:"detail,omitempty"`
}

// Abnormal reports whether the end needs an answer from a transient unit's supervisor and a crash report.
func (r Reason) Abnormal() bool { return r.Kind != ReasonNormal && r.Kind != ReasonShutdown }

var reasonWords = map[ReasonKind]string{
	ReasonNormal: "exit code 0", ReasonKilled: "killed after its stop timeout", ReasonOOM: "out of memory", ReasonHealth: "liveness check failed",
	ReasonDeadline: "did not end in time", ReasonStart: "could not start", ReasonUnknown: "ended unseen",
}

// String is the reason in words: "exit code 3", "signal SIGSEGV", "out of memory".
func (r Reason) String() string {
	s := cmp.Or(reasonWords[r.Kind], string(r.Kind))
	switch r.Kind {
	case ReasonExit:
		s = fmt.Sprintf("exit code %d", r.Code)
	case ReasonSignal:
		s = "signal " + r.Signal
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

// InstanceSpec is everything a keeper needs to run one instance. It is a value; keepers journal it.
type InstanceSpec struct {
	ID          InstanceID  `json:"id"`
	App         string      `json:"app"`
	Environment string      `json:"environment"`
	Service     string      `json:"service"`
	Release     ReleaseName `json:"release"`
	Generation  int64       `json:"generation"` // of the rollout that made it
	Artifact    Digest      `json:"artifact"`
	Spec        Service     `json:"spec"` // secrets already resolved are NOT here; see Secrets
	// Previous is the release that was good before this one, for crash reports. Empty for the first.
	Previous ReleaseName `json:"previous,omitempty"`
	// Until is when it must have been told to end, whoever else is away; zero is never. Its keeper goes by its own clock.
	Until time.Time `json:"until,omitzero"`
	Apart bool      `json:"apart,omitempty"` // its standard error has a file of its own: LogPath with ".err" behind
}

// InstanceStatus is what a keeper knows of an instance. Health is judged elsewhere; a keeper reports
// only the sd_notify word it heard.
type InstanceStatus struct {
	Spec        InstanceSpec  `json:"spec"`
	State       InstanceState `json:"state"` // Starting (process runs), Waiting, Stopping or Ended
	Incarnation int64         `json:"incarnation"`
	PID         int           `json:"pid,omitempty"`
	StartTicks  uint64        `json:"start_ticks,omitempty"` // field 22 of /proc/PID/stat: with PID it names the process for ever
	Address     string        `json:"address,omitempty"`     // "127.0.0.1:20001" or "unix:/path"; stays the same over restarts of the instance
	StartedAt   time.Time     `json:"started_at,omitzero"`
	Restarts    int           `json:"restarts"`
	Notified    bool          `json:"notified,omitempty"` // READY=1 heard from this incarnation
	LastEnd     *End          `json:"last_end,omitempty"`
	LogPath     string        `json:"log_path,omitempty"`
	Scratch     string        `json:"scratch,omitempty"` // the directory that it may write to; gone when it is forgotten
	Warning     string        `json:"warning,omitempty"` // a protection this machine could not give
	Crashes     int           `json:"crashes,omitempty"` // of actors in it, reported since the keeper began
}

// End is one end of an incarnation.
type End struct {
	Reason      Reason        `json:"reason"`
	At          time.Time     `json:"at"`
	Uptime      Duration      `json:"uptime"`
	Incarnation int64         `json:"incarnation"`
	PID         int           `json:"pid,omitempty"`
	Decision    string        `json:"decision"`       // what the supervisor did: "restart at once", "restart in 400ms", "give up: 6 restarts in 1m0s", "none"
	GaveUp      bool          `json:"gave_up"`        // the restart intensity is exceeded: a crash loop
	Tail        []string      `json:"tail,omitempty"` // last lines of output
	Peak        ResourcePeaks `json:"peak"`
	Window      int           `json:"window"` // restarts within the intensity period, this one included
}

// ResourcePeaks are the most an incarnation used.
type ResourcePeaks struct {
	MemoryBytes int64    `json:"memory_bytes,omitempty"`
	CPU         Duration `json:"cpu,omitempty"` // user + system
}

// A CrashReport is everything known about one abnormal end (law L8).
type CrashReport struct {
	ID          string        `json:"id"` // "c-17"
	At          time.Time     `json:"at"`
	What        string        `json:"what"` // an instance id, or "semper edge"
	App         string        `json:"app,omitempty"`
	Environment string        `json:"environment,omitempty"`
	Service     string        `json:"service,omitempty"`
	Release     ReleaseName   `json:"release,omitempty"`
	Reason      Reason        `json:"reason"`
	PID         int           `json:"pid,omitempty"`
	Uptime      Duration      `json:"uptime"`
	Restarts    int           `json:"restarts"`
	Window      int           `json:"restarts_in_window"`
	Intensity   Intensity     `json:"intensity"`
	Decision    string        `json:"decision"`
	Tail        []string      `json:"tail,omitempty"`
	Peak        ResourcePeaks `json:"peak"`
	LastGood    ReleaseName   `json:"last_good,omitempty"`
	Diff        []string      `json:"diff,omitempty"` // of the release against LastGood, one change per line
	// Actor is set when not the process ended but an actor inside it. The fields above then say which process it was in;
	// Tail, Peak, Window and Intensity are empty, and nothing was counted against the instance.
	Actor *ActorCrash `json:"actor,omitempty"`
}

// An ActorCrash is what a program said of the end of one of its actors, or supervised goroutines. Nothing of it is proven; each text is bounded.
type ActorCrash struct {
	Process     string   `json:"process,omitempty"` // its number in the program: "<17>"; none of a goroutine
	Label       string   `json:"label,omitempty"`   // what it is called
	Path        string   `json:"path,omitempty"`    // of ids from the root of the program's tree
	LastMessage string   `json:"last_message,omitempty"`
	State       string   `json:"state,omitempty"`    // through the program's own redactor
	Mailbox     int      `json:"mailbox,omitempty"`  // messages that waited
	Waiting     []string `json:"waiting,omitempty"`  // the first of them
	Messages    uint64   `json:"messages,omitempty"` // handled before
	Ancestors   []string `json:"ancestors,omitempty"`
	Links       []string `json:"links,omitempty"`
	Stack       string   `json:"stack,omitempty"`   // of a panic
	Dropped     uint64   `json:"dropped,omitempty"` // crashes of this member's actors before this one that left no report
}

// Subject is what ended: the instance or part, or the actor or service in it.
func (r CrashReport) Subject() string {
	if r.Actor == nil {
		return r.What
	}
	name := r.Actor.Path
	for _, other := range []string{r.Actor.Label, r.Actor.Process} {
		if name == "" {
			name = other
		}
	}
	kind := "actor "
	if r.Actor.Process == "" {
		kind = "service "
	}
	return kind + name + " of " + r.What
}
