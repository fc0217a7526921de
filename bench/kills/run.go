package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"semper/bench/rig"
	"semper/queue"
	engine "semper/queue/etcd"
	"semper/store/etcd"
)

var service = queue.Service{App: "kills", Environment: "production", Service: "web"}

const config = `version: 1
app: kills
services:
  web:
    type: web
    command: ./app
    instances: 2
    env: { BEGUN: %q, EFFECTS: %q, ONCE: %q }
    health: { path: /healthz }
    jobs: { attempts: 1000, timeout: 5s, backlog: 100000 }
routes:
  - { path: /jobs, to: web, mode: async }
`

// A trial is one server, its crowd and its killer.
type trial struct {
	o      options
	dir    string
	server *rig.Server
	crowd  *crowd
	killer *killer
}

func run(ctx context.Context, o options) (err error) {
	t := &trial{o: o}
	if t.dir, err = os.MkdirTemp("", "kills"); err != nil {
		return err
	}
	if err := os.Chmod(t.dir, 0o755); err != nil { // instances may run as another user
		return err
	}
	defer func() {
		if t.server != nil {
			err = errors.Join(err, t.server.Stop())
		}
		if o.keep || err != nil {
			say("everything is left in %s", t.dir)
			return
		}
		_ = os.RemoveAll(t.dir)
	}()
	say("seed %d, in %s", o.seed, t.dir)
	if err := t.start(ctx); err != nil {
		return err
	}
	if err := t.underLoad(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, t.server.Logs())
	}
	return t.audit(ctx)
}

// start brings the server up with the app.
func (t *trial) start(ctx context.Context) error {
	app := filepath.Join(t.dir, "app")
	if err := errors.Join(os.Mkdir(app, 0o755), os.Mkdir(t.once(), 0o777), os.Chmod(t.once(), 0o777), //nolint:gosec // the app may run as another user
		os.WriteFile(t.effects(), nil, 0o666), os.Chmod(t.effects(), 0o666), //nolint:gosec // the same
		os.WriteFile(t.begun(), nil, 0o666), os.Chmod(t.begun(), 0o666), //nolint:gosec // the same
		os.WriteFile(filepath.Join(app, "semper.yaml"), fmt.Appendf(nil, config, t.begun(), t.effects(), t.once()), 0o644)); err != nil { //nolint:gosec // the same
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(app, "app"), "semper/bench/kills/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the app: %w\n%s", err, out)
	}
	address, err := rig.FreeAddress()
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(t.o.semper)
	if err != nil {
		return err
	}
	t.server = &rig.Server{Bin: bin, Dir: filepath.Join(t.dir, "data"), HTTP: address, Log: filepath.Join(t.dir, "log")}
	if err := t.server.Start(ctx); err != nil {
		return err
	}
	if _, err := t.server.Deploy(ctx, app); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(t.o.seed, 0))
	t.crowd, t.killer = newCrowd(address, t.o.think), &killer{server: t.server, r: r, done: map[string]int{}}
	return nil
}

func (t *trial) begun() string   { return filepath.Join(t.dir, "begun") }
func (t *trial) effects() string { return filepath.Join(t.dir, "effects") }
func (t *trial) once() string    { return filepath.Join(t.dir, "once") }

// pauseEvery is how many kills there are between two pauses, and pauseKills how many while nothing may start.
const (
	pauseEvery = 40
	pauseKills = 4
)

// underLoad kills as often as it should, with pauses, while the crowd hands in requests.
func (t *trial) underLoad(ctx context.Context) error {
	coming, enough := context.WithCancel(ctx)
	last, cancel := context.WithCancel(ctx)
	var crowd sync.WaitGroup
	defer crowd.Wait()
	defer cancel()
	defer enough()
	for n := range t.o.clients {
		crowd.Go(func() { t.crowd.client(coming, last, n, rand.New(rand.NewPCG(t.o.seed, uint64(n+1)))) }) //nolint:gosec // choices, no secrets
	}
	for t.killer.total() < t.o.kills {
		if err := t.killer.spree(ctx, min(pauseEvery, t.o.kills-t.killer.total()), t.o.gap); err != nil {
			return err
		}
		say("killed %d: %v; %d requests acknowledged", t.killer.total(), t.killer.done, t.crowd.count())
		if err := t.pause(ctx); err != nil {
			return fmt.Errorf("pause: %w", err)
		}
	}
	enough()
	crowd.Wait() // each has its last acknowledgement
	return ctx.Err()
}

// operate calls f with the queue as an operator has it, from outside of all semper processes, until that works: the store may be away.
func (t *trial) operate(ctx context.Context, f func(context.Context, queue.Queue) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := etcd.Open(ctx, filepath.Join(t.server.Dir, "run", "store.sock"), etcd.Options{})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // every change was acknowledged or reported
	e, err := engine.New(s, engine.Options{ID: "kills", Apart: true, Bodies: filepath.Join(t.server.Dir, "queue")})
	if err != nil {
		return err
	}
	defer e.Close() //nolint:errcheck // the same
	q, err := e.Open(ctx, service, queue.Policy{})
	for err == nil {
		if err = f(ctx, q); err == nil || ctx.Err() != nil {
			return err
		}
		err = pass(ctx, 200*time.Millisecond)
	}
	return err
}

// pause is a pause of the queue: nothing starts while it holds, whatever is killed, and requests are accepted all the same.
func (t *trial) pause(ctx context.Context) error {
	by := queue.By{Who: "kills", Why: "nothing may start now"}
	if err := t.operate(ctx, func(ctx context.Context, q queue.Queue) error {
		_, err := q.Pause(ctx, by)
		if err == nil {
			err = q.Drained(ctx)
		}
		return err
	}); err != nil {
		return err
	}
	begun, effects, accepted := t.lines(t.begun()), t.lines(t.effects()), t.crowd.count()
	if err := t.killer.spree(ctx, pauseKills, t.o.gap); err != nil {
		return err
	}
	for began := time.Now(); t.crowd.count() < accepted+10; {
		if time.Since(began) > 2*time.Minute {
			t.crowd.find("while the queue was paused, only %d requests were accepted in %s", t.crowd.count()-accepted, time.Since(began))
			break
		}
		if err := pass(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	if now := t.lines(t.begun()); now != begun {
		t.crowd.find("%d attempts began while the queue was paused and had drained", now-begun)
	}
	if now := t.lines(t.effects()); now != effects {
		// Nobody can tell an app that whoever waits for it is dead: what it does then counts as not done.
		say("%d attempts that had begun before went on after the edge that waited for them was killed", now-effects)
	}
	return t.operate(ctx, func(ctx context.Context, q queue.Queue) error { return q.Resume(ctx, by) })
}

// lines is how many the app has left in a file.
func (t *trial) lines(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		t.crowd.find("%s: %v", filepath.Base(path), err)
	}
	return strings.Count(string(text), "\n")
}
