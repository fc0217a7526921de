package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"semper"
	"semper/control/queues"
	"semper/internal/strict"
	"semper/queue/etcd"
	"semper/queue/jetstream"
	"semper/store"
)

// engine is what has the queues of a machine.
type engine interface {
	queues.Engine
	// Ready returns when queues can be opened; gone is closed when those that were are no longer to be used.
	Ready(ctx context.Context) (gone <-chan struct{}, err error)
	Close() error
}

// embedded is the engine in semper's own store, which is always ready: its calls wait for the store.
type embedded struct{ *etcd.Engine }

func (embedded) Ready(ctx context.Context) (<-chan struct{}, error) { return nil, ctx.Err() }

// engineOptions are of a process that wants the queues.
type engineOptions struct {
	id    string
	log   *slog.Logger
	apart bool // it hands out no jobs
}

// queueFile is DATA/queue.yaml: where the queues of this machine are, if not in semper's own store.
type queueFile struct {
	Engine string `yaml:"engine" jsonschema:"enum=embedded,enum=jetstream,default=embedded" doc:"Where jobs are kept: in semper's own store, or in a NATS JetStream that is there already."`
	jetstream.Settings
}

// readQueueFile gives what the file says, and the defaults where there is none.
func readQueueFile(path string) (f queueFile, err error) {
	strict.Defaults(&f)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, &semper.Error{Code: semper.Invalid, Op: "queue", Message: path + " cannot be read", Err: err, Hint: "let the user of the server read it, or remove it: then jobs are in semper's own store"}
	}
	doc := strict.Read(path, text, &f, strict.Options{})
	if err := doc.Err(); err != nil {
		return f, &semper.Error{Code: semper.Invalid, Op: "queue", Err: err, Hint: "docs/guides/queue-engines.md shows a whole one"}
	}
	if f.Engine == "jetstream" {
		if err := f.Check(); err != nil {
			return f, &semper.Error{Code: semper.Invalid, Op: path, Err: err, Hint: semper.HintOf(err)}
		}
		return f, nil
	}
	for _, key := range []string{"servers", "monitor", "credentials", "ca", "stream", "replicas", "max_bytes"} {
		if doc.Given(key) {
			doc.Problem(key, key+" is of JetStream, and engine is embedded", "write engine: jetstream, or remove it")
		}
	}
	return f, doc.Err()
}

// openQueues is the engine that DATA/queue.yaml names.
func openQueues(d dirs, s store.Bulk, o engineOptions) (engine, error) {
	f, err := readQueueFile(d.queueFile())
	if err != nil {
		return nil, err
	}
	if f.Engine == "jetstream" {
		return jetstream.New(f.Settings, jetstream.Options{ID: o.id, Bodies: d.queue(), Log: o.log, Apart: o.apart})
	}
	e, err := etcd.New(s, etcd.Options{ID: o.id, Bodies: d.queue(), Log: o.log, Apart: o.apart})
	if err != nil {
		return nil, err
	}
	return embedded{e}, nil
}

// leftBehind tells of jobs in semper's own store when that has the queues no longer.
func leftBehind(ctx context.Context, now engine, s store.Bulk, log *slog.Logger) {
	if _, ok := now.(embedded); ok {
		return
	}
	e, err := etcd.New(s, etcd.Options{ID: "look", Log: log, Apart: true})
	if err != nil {
		return
	}
	defer e.Close() //nolint:errcheck // it has none
	all, err := e.Queues(ctx)
	if err != nil {
		return
	}
	for _, l := range all {
		if n := l.Stats.Queued + l.Stats.Delayed + l.Stats.Running; n > 0 {
			log.Warn("jobs are left in semper's own store: nobody does them before queue.yaml says engine: embedded again", "queue", l.Service.String(), "jobs", n)
		}
	}
}
