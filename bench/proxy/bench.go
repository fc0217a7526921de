package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"semper/bench/proxy/contender"
	"semper/bench/proxy/generate"
	"semper/bench/proxy/proc"
	"semper/bench/rig"
)

// A bench is what the groups share. It belongs to one goroutine.
type bench struct {
	options
	dir         string // temporary, holds everything
	mine, other int    // cores: of the proxy that is measured, of all else
	cert        string
	contenders  []contender.Contender
	tcp, unix   contender.Upstream // nginx, which answers as little as possible
	app         contender.Upstream // a Go program, which takes uploads and WebSockets
	backends    []*proc.Process
	started     int // contenders so far, for the names of their directories
	readings    []reading
	problems    []string // what went wrong
	left        []string // who is not here
	noise       noise
	secure      bool // what is measured now is TLS, so that it has to be checked
	descriptors int  // that each process may have open
}

// A reading is one measurement of one contender.
type reading struct {
	Row       string
	Contender string
	Round     int
	Value     float64
	Detail    map[string]float64 `json:",omitempty"`
}

func (b *bench) record(row, name string, round int, value float64, detail map[string]float64) {
	b.readings = append(b.readings, reading{row, name, round, value, detail})
}

// newBench takes a core, builds what is of this repository, and starts the backends.
func newBench(ctx context.Context, o options) (*bench, error) {
	b := &bench{options: o}
	var err error
	if b.mine, b.other, err = proc.Cores(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "px"); err != nil { // short: the path of a unix socket has a limit
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) error {
	b.cert = filepath.Join(b.dir, "cert.pem")
	if err := errors.Join(os.Chmod(b.dir, 0o755), contender.WriteCert(b.cert)); err != nil {
		return err
	}
	for _, name := range []string{"reverse", "backend", "trial"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(b.dir, name), "semper/bench/proxy/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s, inside the repository: %w\n%s", name, err, text)
		}
	}
	var err error
	if b.contenders, b.left, err = find(ctx, b.options, filepath.Join(b.dir, "reverse")); err != nil {
		return err
	}
	if len(b.contenders) == 0 {
		return errors.New("none of the contenders is here")
	}
	if b.descriptors, err = raise(descriptors); err != nil {
		return err
	}
	if err := proc.Pin(b.other); err != nil {
		return err
	}
	if err := b.startBackends(ctx); err != nil {
		return err
	}
	return b.noise.begin()
}

// descriptors is what every process here would have open at most.
const descriptors = 65536

// raise lets this process and its children open want files, or as many as it may, and returns which.
func raise(want uint64) (int, error) {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: want}); err == nil {
		return int(want), nil
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = min(limit.Max, want)
	return int(limit.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// bodySizes are those of the files that the backend has.
var bodySizes = map[string]int64{"64k": 64 << 10, "10m": 10 << 20}

func (b *bench) startBackends(ctx context.Context) error {
	dir := filepath.Join(b.dir, "backend.d")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "tmp"), 0o755), os.MkdirAll(filepath.Join(dir, "bytes"), 0o755)); err != nil {
		return err
	}
	for name, size := range bodySizes {
		if err := os.WriteFile(filepath.Join(dir, "bytes", name), make([]byte, size), 0o644); err != nil {
			return err
		}
	}
	here := contender.All(contender.Programs{})
	nginx := &here[slices.IndexFunc(here, func(c contender.Contender) bool { return c.Name == contender.Nginx })]
	if err := nginx.Find(ctx); err != nil {
		return fmt.Errorf("the backend: %w", err)
	}
	addresses := make([]string, 2)
	for i := range addresses {
		var err error
		if addresses[i], err = rig.FreeAddress(); err != nil {
			return err
		}
	}
	b.tcp, b.unix = contender.Upstream{Network: "tcp", Address: addresses[0]}, contender.Upstream{Network: "unix", Address: filepath.Join(dir, "s")}
	b.app = contender.Upstream{Network: "tcp", Address: addresses[1]}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(contender.BackendText(dir, b.tcp.Address, b.unix.Address)), 0o644); err != nil {
		return err
	}
	if err := b.serve(ctx, "nginx", []string{b.tcp.Address, b.unix.Address}, nginx.Path, "-p", dir, "-c", conf, "-e", "stderr"); err != nil {
		return err
	}
	return b.serve(ctx, "app", []string{b.app.Address}, filepath.Join(b.dir, "backend"), "-address", b.app.Address, "-body", contender.Body)
}

// serve starts a backend.
func (b *bench) serve(ctx context.Context, name string, addresses []string, argv ...string) error {
	p, err := proc.Start(b.other, filepath.Join(b.dir, name+".log"), nil, argv...)
	if err != nil {
		return err
	}
	b.backends = append(b.backends, p)
	return p.Ready(ctx, addresses...)
}

func (b *bench) close() {
	for _, p := range b.backends {
		p.Stop()
	}
	if b.keep {
		say("everything is in %s", b.dir)
		return
	}
	os.RemoveAll(b.dir)
}

// start runs one contender and checks that it does the work.
func (b *bench) start(ctx context.Context, c contender.Contender, u contender.Upstream, room contender.Room) (*contender.Running, error) {
	b.started++
	s := contender.Setup{Dir: filepath.Join(b.dir, fmt.Sprint(c.Name, "-", b.started)), Upstream: u, Cert: b.cert, AccessLog: b.log, Room: room}
	r, err := c.Start(ctx, b.mine, s)
	if err != nil {
		return nil, err
	}
	if err := contender.Check(ctx, r, u != b.app, b.secure); err != nil {
		r.Stop()
		return nil, fmt.Errorf("it does not do what is measured: %w", err)
	}
	return r, nil
}

// startAll runs every contender before each of the upstreams, and warms it up. Which do not come up are told and left out.
func (b *bench) startAll(ctx context.Context, upstreams ...contender.Upstream) ([]*contender.Running, func(), error) {
	var all []*contender.Running
	stop := func() {
		for _, r := range all {
			r.Stop()
		}
	}
	for _, u := range upstreams {
		for _, c := range b.contenders {
			r, err := b.start(ctx, c, u, contender.Room{Clients: 4096, Instances: 4096})
			if err != nil {
				b.problem("%s before %s: %v", c.Name, u.Network, err)
				continue
			}
			all = append(all, r)
			if err := b.warm(ctx, r); err != nil {
				stop()
				return nil, nil, err
			}
		}
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no contender came up")
	}
	return all, stop, nil
}

// warm gives a proxy a second of work, so that its connections are open and its memory is as it will be.
func (b *bench) warm(ctx context.Context, r *contender.Running) error {
	_, err := generate.Wrk(ctx, "http://"+r.Setup.HTTP+"/", 64, time.Second)
	if err != nil {
		return fmt.Errorf("%s, warming up: %w", r.Name, err)
	}
	return nil
}

// turns calls do for everybody in each round. Who begins moves on, so that nobody always follows the same one. Who fails is told and has no
// more turns; an error is that nobody has one.
func (b *bench) turns(ctx context.Context, all []*contender.Running, do func(round int, r *contender.Running) error) error {
	return b.inTurns(ctx, b.rounds, all, do)
}

// inTurns are turns of which there are another number of rounds.
func (b *bench) inTurns(ctx context.Context, rounds int, all []*contender.Running, do func(round int, r *contender.Running) error) error {
	out := make([]bool, len(all))
	for round := range rounds {
		for i := range all {
			i = (i + round) % len(all)
			if out[i] {
				continue
			}
			r := all[i]
			err := do(round, r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err = cmp.Or(r.Alive(), err); err != nil { // that it ended is the better reason
				out[i] = true
				b.problem("%s before %s, round %d: %v", r.Name, r.Setup.Upstream.Network, round+1, err)
			}
		}
	}
	if !slices.Contains(out, false) {
		return errors.New("no contender could be measured to the end")
	}
	return nil
}

// problem tells what went wrong, now and on the page.
func (b *bench) problem(format string, args ...any) {
	say(format, args...)
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// A cost is what a proxy used for some work, and how busy others kept the machine meanwhile.
type cost struct {
	generate.Count
	proc.CPU
	Others float64 // share of all cores
}

// cost measures r while work is done.
func (b *bench) cost(r *contender.Running, work func() (generate.Count, error)) (cost, error) {
	var watch noise
	if err := watch.begin(); err != nil {
		return cost{}, err
	}
	before, err := r.CPU()
	if err != nil {
		return cost{}, err
	}
	n, err := work()
	if err != nil {
		return cost{}, err
	}
	after, err := r.CPU()
	if err != nil {
		return cost{}, err
	}
	others, _, err := watch.end()
	return cost{n, after.Minus(before), others}, err
}

// detail is what is kept of c besides the figure of the row.
func (c cost) detail(more map[string]float64) map[string]float64 {
	d := map[string]float64{"requests": float64(c.Requests), "per_second": c.Rate(), "ran_s": c.Ran.Seconds(), "user_s": c.User.Seconds(), "system_s": c.System.Seconds(), "others": c.Others}
	if c.Bytes > 0 {
		d["bytes"] = float64(c.Bytes)
	}
	maps.Copy(d, more)
	return d
}

// perRequest is microseconds of processor time for one request.
func (c cost) perRequest() float64 {
	return float64(c.Total()) / float64(time.Microsecond) / float64(c.Requests)
}

// perSecond is megabytes of bodies for one second of processor time.
func (c cost) perSecond() float64 { return float64(c.Bytes) / 1e6 / c.Total().Seconds() }
