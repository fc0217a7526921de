package control

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"semper"
	"semper/api"
	"semper/autoscale/waking"
	"semper/control/autoscaling"
	"semper/control/delivery"
	"semper/control/feed"
	"semper/control/lab"
	"semper/control/output"
	"semper/control/queues"
	"semper/edge/mirror/told"
	"semper/experiment/design"
	"semper/rollout"
	"semper/supervise"
	"semper/webhook"
)

// Keeper runs instances. Starting and stopping are idempotent.
type Keeper interface {
	Start(ctx context.Context, spec semper.InstanceSpec) (semper.InstanceStatus, error)
	Stop(ctx context.Context, id semper.InstanceID, why string) error
	Forget(ctx context.Context, id semper.InstanceID) error
	Kill(ctx context.Context, id semper.InstanceID, r semper.Reason) error
	// Ready tells that this incarnation was found ready. From the answer on it has its full share of the processors.
	Ready(ctx context.Context, id semper.InstanceID, incarnation int64) error
	Exec(ctx context.Context, id semper.InstanceID, argv []string, timeout time.Duration) (int, string, error)
	// Signal sends a signal, by its name, to an instance's main process.
	Signal(ctx context.Context, id semper.InstanceID, signal string) error
	// Watch sends every instance first, then each change; it closes when the keeper goes away.
	Watch(ctx context.Context) (<-chan []semper.InstanceStatus, error)
	Crashes(ctx context.Context) ([]semper.CrashReport, error)
	AckCrashes(ctx context.Context, ids []string) error
	Info(ctx context.Context) (api.ServerInfo, error)
	Tree(ctx context.Context) (api.TreeNode, error)
	Upgrade(ctx context.Context, binary string) (<-chan api.UpgradeStep, error)
}

// Edges are the edge processes alive now.
type Edges interface {
	// States of every live edge. An edge's epoch was read before what it has in flight.
	States(ctx context.Context) ([]semper.EdgeState, error)
	// Await returns the states once every live edge serves by epoch or a later one.
	Await(ctx context.Context, epoch semper.Epoch) ([]semper.EdgeState, error)
	// Desks are the states of the queue processes that are alive: they hand out jobs by the route table, as edges do requests.
	Desks(ctx context.Context) ([]semper.EdgeState, error)
	// Traffic is what all live edges do now, by release and route.
	Traffic(ctx context.Context) (api.Traffic, error)
	// Arms is what every live edge has counted of the arms of splits, and of pools without one; edges that do not answer are named
	// in the error, beside what the others have.
	Arms(ctx context.Context) ([]semper.ArmCounts, error)
	// Shadows is the same of copies of requests.
	Shadows(ctx context.Context) ([]told.Counts, error)
	// Exposures of every live edge after a Seq; edges that do not answer are named in the error, beside what the others have.
	Exposures(ctx context.Context, after int64) ([]design.Exposures, error)
	// Certificates of the hosts of all routes, by the edges that take new connections; none where there is no TLS.
	Certificates(ctx context.Context) ([]api.Certificate, error)
	// Sleepers are the services that may sleep, by all edges together; with wait, as soon as somebody waits for one or ctx ends.
	Sleepers(ctx context.Context, wait bool) (map[semper.PoolKey]waking.Told, error)
	// Metrics of one edge; empty is the one that takes new connections.
	Metrics(ctx context.Context, edge, accept string) (api.Exposition, error)
}

// Blobs keep artifacts.
type Blobs interface {
	Has(d semper.Digest) (bool, error)
	Put(ctx context.Context, d semper.Digest, r io.Reader) error
	Size(d semper.Digest) (int64, error)
	Unpack(ctx context.Context, d semper.Digest) (string, error)
	Verify(ctx context.Context, d semper.Digest) error
	// Diff lists the files that differ from a to b: "+ file", "- file", "~ file".
	Diff(ctx context.Context, a, b semper.Digest) ([]string, error)
	GC(keep map[semper.Digest]bool, olderThan time.Time, dryRun bool) ([]semper.Digest, int64, error)
}

// Ledgers are the counters edges keep on disk.
type Ledgers interface {
	// Read returns one book per edge process there ever was and that was not dropped.
	Read() ([]Book, error)
	Drop(b Book) error
}

// Book is the ledger of one edge process.
type Book struct {
	Name   string // of the file, unique for ever
	EdgeID string
	PID    int
	Counts map[LedgerKey]semper.Ledger
	// Settled counts with what was in flight moved to Cut: what the book says once its edge is dead.
	Settled map[LedgerKey]semper.Ledger
}

// LedgerKey names whose counters they are.
type LedgerKey struct {
	App     string
	Release semper.ReleaseName
}

// Machine answers what only the machine knows.
type Machine interface {
	// Listening are the addresses the process and what it started listen on.
	Listening(pid int) ([]string, error)
	// Resident is the resident memory in bytes of each of pids that lives, with all that it started.
	Resident(pids []int) map[int]int64
	// Alive reports whether an edge process of that pid lives.
	Alive(pid int) bool
	// Gone reports whether the control process of that id has certainly ended.
	Gone(id string) bool
	output.Machine
	// Open opens a file below a directory that somebody else writes to: a regular one, and none that only leads out of it. It does not wait.
	Open(dir, path string) (io.ReadCloser, error)
	// Checks are doctor's of this machine.
	Checks(ctx context.Context) []api.Check
}

// Secrets keep secret values on this machine. A version is never changed.
type Secrets interface {
	Set(app, name string, value []byte) (version int, err error)
	// Newest is the newest version of a secret, 0 when there is none.
	Newest(app, name string) (int, error)
	// Get is the newest value of a secret that this process itself needs: the key of a webhook.
	Get(app, name string) ([]byte, error)
	List(app string) ([]string, error)
}

// Options of a control process. All but Log, Queues, QueueCounters and Supervision are required.
type Options struct {
	Store   semper.Store
	Keeper  Keeper
	Edges   Edges
	Blobs   Blobs
	Ledgers Ledgers
	Secrets Secrets
	Machine Machine
	Log     *slog.Logger
	// Client asks the URLs of HTTP gates; nil: one that follows no redirect and uses no proxy.
	Client *http.Client
	// Keys sign what gates have shown; nil: no gate can be passed.
	Keys delivery.Keys
	// Check refuses a spec that no edge could serve by; nil: whatever an edge serves by.
	Check func(semper.Spec) error
	// Supervision gives each supervisor of the tree its options, from the context it is started with; nil: what they do
	// goes to Log. It has the id "model" for the one child that is a process of package actor.
	Supervision func(context.Context) supervise.Options
	// Queues are those of services; nil: there are none.
	Queues queues.Engine
	// QueueCounters are what is counted of them; nil: nothing is.
	QueueCounters queues.Counters
	// ID names this process for the leadership: unique per process, for ever.
	ID string
}

// Control is the service behind the API. It is safe for concurrent use.
type Control struct {
	delivery.Surface
	lab.Answers
	queues.Desk
	tasks

	o     Options
	model *seat // who leads here, if anybody does
	view  atomic.Pointer[view]
	feed  *feed.Feed
	ready chan struct{} // closed when the first view is there
	wake  chan struct{}
	lab   lab.Seat
	scale autoscaling.Seat

	streams atomic.Pointer[supervise.Dynamic] // what is sent to readers, as long as they read
}

var _ api.Service = (*Control)(nil)

// New is a control process that has not begun; its methods wait for [Control.Run] to have loaded.
func New(o Options) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Client == nil {
		o.Client = webhook.Client(false)
	}
	c := &Control{o: o, model: newSeat(), ready: make(chan struct{}), feed: feed.New(), wake: make(chan struct{}, 1)}
	c.Surface, c.Answers, c.tasks = c.surface(), c.answers(), c.taskSurface()
	c.Desk = queues.Desk{Engine: o.Queues, Counters: o.QueueCounters, Log: o.Log, Tell: c.happened}
	return c
}

const (
	idle      = 3 * time.Second
	retryable = 200 * time.Millisecond
)

// reconcile asks the machine until nothing follows any more, and says when to look again.
func (c *Control) reconcile(m *model) time.Duration {
	if !m.keeperSeen {
		return idle
	}
	for range 16 {
		t, decisions, next := m.decide(time.Now())
		if t == nil {
			m.perform(c, decisions)
			m.performTasks(c)
			if at := m.performPipelines(c); !at.IsZero() {
				next = min(next, max(time.Millisecond, time.Until(at)))
			}
			return next
		}
		if err := m.commit(*t); err != nil {
			c.o.Log.Warn("change not stored; trying again", "error", err)
			return retryable
		}
		m.perform(c, decisions)
		m.performTasks(c)
		m.performPipelines(c)
	}
	return 0
}

// decide is what follows from the model now: a transaction, or nil when nothing changes.
func (m *model) decide(now time.Time) (*change, []rollout.Decision, time.Duration) {
	t := m.newChange(now)
	next := idle
	var decisions []rollout.Decision
	for _, key := range m.envKeys() {
		d := rollout.Step(m.envs[key].value, m.world(key, now))
		decisions = append(decisions, d)
		if d.Changed {
			t.setEnv(d.Env)
			t.events = append(t.events, d.Events...)
		}
		m.waiting[key] = d.Waiting
		if !d.Wake.IsZero() {
			next = min(next, max(0, d.Wake.Sub(now)))
		}
	}
	for _, at := range []time.Time{m.desk.Promote(office{t}, t.desk), t.stepTasks()} {
		if !at.IsZero() {
			next = min(next, max(0, at.Sub(now)))
		}
	}
	t.route()
	if t.empty() {
		return nil, decisions, next
	}
	return t, decisions, next
}
