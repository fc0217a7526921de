package keeper

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"semper"
	"semper/internal/handoff"
	"semper/internal/notify"
	"semper/keeper/allot"
	"semper/keeper/crash"
	"semper/keeper/datadir"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/keeper/renew"
	"semper/keeper/trees"
	"semper/keeper/wire"
	"semper/store/blob"
	"semper/supervise"
	"semper/unit/process"
)

// lockPatience is how long a new keeper waits for one that has been killed to be gone.
const lockPatience = 500 * time.Millisecond

// keeper is the state of one Run.
type keeper struct {
	o       Options
	log     *slog.Logger
	held    *datadir.Held
	dir     datadir.Dir
	boot    string // of the machine: what an identity in the journal belongs to
	journal *journal.Journal
	crashes *crash.Store
	blobs   *blob.Store
	ports   *allot.Ports
	users   *allot.Users
	notify  *notify.Listener
	trees   *trees.Hub // opened by start, once the members are known
	reaper  *process.Reaper
	sockets []handoff.Socket // public and API ones
	door    handoff.Socket   // where the keeper itself answers

	server *http.Server
	feed   wire.Feed

	root, system, instances *supervise.Supervisor

	background sync.WaitGroup     // every goroutine of the keeper
	life       context.Context    // of those goroutines; ends with Run
	stop       context.CancelFunc // ends life
	shutdowns  chan bool          // asks Run to end: whether with everything
	readyOnce  sync.Once
	hearing    chan struct{} // closed when hear has returned; owned by start, then by the upgrade
	converging sync.Mutex    // one replacement of parts at a time

	groupMu sync.Mutex // guards groups; held while one is started or ended, taken before mu
	groups  map[string]*group

	mu       sync.Mutex // guards the following
	members  map[string]*member
	tokens   map[string]*member
	news     chan struct{} // closed at the next change of anything below mu
	stopping bool          // Run is ending: nothing new is started
	numbers  map[string]int
	upgrade  wire.UpgradeLog
	build    string // of the binary, and the newest upgrade: parts started otherwise are outdated
}

// Run is the keeper: it takes hold of o.Dir, adopts what lives from before, starts what is missing,
// answers on DIR/run/keeper.sock, and returns when ctx ends or a client told it to. What it then
// leaves running is said at [Options].StopAllOnSignal and [Client.Shutdown]. There is one Run per
// process, because it makes the process the one that orphans fall to and may replace it by exec.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer k.close()
	if err := k.start(ctx); err != nil {
		return err
	}
	all, err := k.serve(ctx)
	if all {
		// A second word on ctx leaves the rest running, unless ctx was the first.
		if ctx.Err() != nil {
			ctx = k.life
		}
		k.stopAll(ctx)
	}
	k.leave()
	return err
}

// open takes hold of the directory and everything in it that needs no process.
func open(ctx context.Context, o Options) (*keeper, error) {
	k := &keeper{
		o: o, log: o.Log, shutdowns: make(chan bool, 1), news: make(chan struct{}),
		groups: map[string]*group{}, members: map[string]*member{}, tokens: map[string]*member{},
		numbers: map[string]int{},
	}
	k.feed.All = k.statuses
	k.life, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	kept, err := keptFromExec()
	if err != nil {
		return nil, err
	}
	if kept.lock > 0 {
		k.held, err = datadir.Resume(o.Dir, kept.lock, semper.Version)
	} else {
		k.held, err = datadir.Open(o.Dir, semper.Version, lockPatience)
	}
	if err != nil {
		return nil, err
	}
	k.dir = k.held.Dir
	k.door, k.sockets = kept.door, kept.sockets
	if err := k.furnish(kept); err != nil {
		return nil, errors.Join(err, k.held.Close())
	}
	return k, nil
}

// furnish opens what stands in the directory.
func (k *keeper) furnish(kept kept) (err error) {
	if k.boot, err = mark.BootID(); err != nil {
		return err
	}
	if k.reaper, err = process.NewReaper(); err != nil {
		return err
	}
	if k.crashes, err = crash.Open(k.dir.Crashes()); err != nil {
		return err
	}
	if k.blobs, err = blob.Open(k.dir.Blobs()); err != nil {
		return err
	}
	if k.users, err = allot.OpenUsers(k.dir.KeeperFile("users.json")); err != nil {
		return err
	}
	k.ports = allot.NewPorts(k.held.Marker.ID)
	if kept.notify != nil {
		var f *os.File
		if f, err = kept.notify.File(); err == nil {
			k.notify, err = notify.FromFile(f)
			err = errors.Join(err, f.Close())
		}
		handoff.Close([]handoff.Socket{*kept.notify})
	} else {
		k.notify, err = notify.Listen(k.dir.NotifySocket(), 0o622)
	}
	if err != nil {
		return err
	}
	k.readFile("numbers.json", &k.numbers)
	k.readFile(upgradeFile, &k.upgrade)
	k.build = renew.BuildOf(k.o.Binary) + "/" + k.upgrade.ID
	k.journal = journal.Open(k.dir.Journal(), datadir.FileName, k.log)
	return nil
}

// readFile reads one of the keeper's own files; v stays as it is when there is none. A broken one is
// only logged: each of them can be done without.
func (k *keeper) readFile(name string, v any) {
	err := journal.ReadJSON(k.dir.KeeperFile(name), v)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Error("file of the keeper not readable", "error", err)
	}
}

// start brings everything up: first what lives from before, then sockets, then what is missing.
func (k *keeper) start(ctx context.Context) error {
	if err := k.adopt(); err != nil {
		return err
	}
	if err := k.listen(ctx); err != nil {
		return err
	}
	k.lead()
	k.noteUncleanEnd()
	k.goBackground(func() { k.reaper.Run(k.life) })
	k.startHearing()
	if err := k.openTrees(); err != nil {
		return err
	}
	if err := k.plant(k.life); err != nil {
		return err
	}
	k.goBackground(func() { k.settle(k.life) })
	return nil
}

// goBackground runs f as one of the goroutines that close waits for.
func (k *keeper) goBackground(f func()) { k.background.Go(f) }

// leave ends the keeper's own work without touching what runs.
func (k *keeper) leave() {
	k.mu.Lock()
	k.stopping = true
	k.mu.Unlock()
	if k.server != nil {
		k.hangUp()
	}
	for _, s := range k.supervisors() {
		s.Release()
	}
	if err := os.Remove(k.dir.KeeperFile(runningFile)); err != nil {
		k.log.Error("mark of the running keeper not removed", "error", err)
	}
}

func (k *keeper) supervisors() []*supervise.Supervisor {
	k.groupMu.Lock()
	defer k.groupMu.Unlock()
	var all []*supervise.Supervisor
	for _, s := range []*supervise.Supervisor{k.root, k.system, k.instances} {
		if s != nil {
			all = append(all, s)
		}
	}
	for _, g := range k.groups {
		all = append(all, g.sup)
	}
	return all
}

// close ends every goroutine and gives back what open took.
func (k *keeper) close() {
	k.stop()
	_ = k.notify.Close()
	if k.trees != nil {
		k.trees.Close()
	}
	k.background.Wait()
	k.journal.Close()
	handoff.Close(k.sockets)
	if k.door.Name != "" {
		handoff.Close([]handoff.Socket{k.door})
	}
	_ = k.held.Close()
}

// changedLocked wakes whoever waits for anything to change, and the watchers if m is an instance.
func (k *keeper) changedLocked(m *member) {
	close(k.news)
	k.news = make(chan struct{})
	if m != nil && m.rec.Instance != nil {
		k.feed.Publish(m.statusLocked(k))
	}
}

// await returns nil once cond, called with mu held, holds; or ctx's error.
func (k *keeper) await(ctx context.Context, cond func() bool) error {
	for {
		k.mu.Lock()
		ok, news := cond(), k.news
		k.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// backoff is a service's back-off as its supervisor takes it.
func backoff(b semper.Backoff) supervise.Backoff {
	return supervise.Backoff{Min: b.Min.D(), Max: b.Max.D(), Factor: cmp.Or(b.Factor, 2), Jitter: 0.1, Reset: b.Reset.D()}
}
