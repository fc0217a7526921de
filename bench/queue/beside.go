package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"semper/bench/rig"
	"semper/internal/reserve"
)

// A contender accepts requests over HTTP and answers 202 when they are on disk.
type contender struct {
	name    string
	address string
	target  string
	parts   func() (map[string][]int, error) // its processes
	rates   []float64
	costs   map[string][]float64 // milliseconds for 1,000 requests, by part
}

// rounds is how often contenders take turns, so that what else the machine does is the same for all.
const rounds = 3

// beside measures what is accepted through semper's edge beside RabbitMQ behind a minimal front, in turns.
func (b *bench) beside(w io.Writer) (err error) {
	ctx := context.Background()
	b.end() // the store of the other measurements
	var all []*contender
	stop := func() {}
	defer func() { stop() }()
	for _, start := range []func(context.Context) ([]*contender, func(), error){b.startSemper, startBroker} {
		some, end, err := start(ctx)
		if err != nil {
			fmt.Fprintf(w, "| accepted over HTTP | not measured: %s | | |\n", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		before := stop
		stop = func() { end(); before() }
		all = append(all, some...)
	}
	for range rounds {
		for _, c := range all {
			if err := c.round(ctx, b.span); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for _, c := range all {
		slices.Sort(c.rates)
		var costs []string
		for _, part := range slices.Sorted(maps.Keys(c.costs)) {
			each := c.costs[part]
			slices.Sort(each)
			costs = append(costs, fmt.Sprintf("%s %.0f", part, each[rounds/2]))
		}
		fmt.Fprintf(w, "| accepted over HTTP, %d clients, in turns: %s | %.0f/s (%.0f to %.0f) | %s ms | %s |\n", posters, c.name, c.rates[rounds/2], c.rates[0], c.rates[rounds-1],
			strings.Join(costs, " + "), map[bool]string{true: "more than RabbitMQ"}[c == all[0]])
	}
	return nil
}

// round is one turn.
func (c *contender) round(ctx context.Context, span time.Duration) error {
	was, err := c.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	rate, err := post(ctx, c.address, c.target, span)
	if err != nil {
		return err
	}
	n := rate * time.Since(began).Seconds()
	now, err := c.cpu()
	c.rates = append(c.rates, rate)
	for part, t := range now {
		c.costs[part] = append(c.costs[part], (t-was[part]).Seconds()*1e6/max(n, 1))
	}
	return err
}

// cpu is the processor time of each part so far.
func (c *contender) cpu() (map[string]time.Duration, error) {
	parts, err := c.parts()
	sums := map[string]time.Duration{}
	for part, pids := range parts {
		for _, pid := range pids {
			if t, e := rig.CPUOf(pid); e == nil { // else it has just ended
				sums[part] += t
			}
		}
	}
	return sums, err
}

// queueConfig has jobs wait: one is under way, and takes its time.
const queueConfig = `version: 1
app: bench
services:
  web: { type: web, command: ./app, health: { path: /healthz }, jobs: { running: 1, timeout: 10m, backlog: 10000000 } }
routes:
  - { path: /slow, to: web, mode: async }
`

// startSemper is a whole semper that accepts requests for an app, and does one of them.
func (b *bench) startSemper(ctx context.Context) (_ []*contender, _ func(), err error) {
	bin, err := filepath.Abs(b.semper)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("semper: %w; make build", err)
	}
	dir, err := os.MkdirTemp("", "q")
	if err != nil {
		return nil, nil, err
	}
	s := &rig.Server{Bin: bin, Dir: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log")}
	end := func() {
		_ = s.Stop()
		_ = os.RemoveAll(dir)
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	app := filepath.Join(dir, "app")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(app, 0o755), os.WriteFile(filepath.Join(app, "semper.yaml"), []byte(queueConfig), 0o644)); err != nil { //nolint:gosec // instances may run as another user
		return nil, nil, err
	}
	if err := build(ctx, ".", filepath.Join(app, "app"), "semper/bench/app"); err != nil {
		return nil, nil, err
	}
	if s.HTTP, err = rig.FreeAddress(); err != nil {
		return nil, nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := s.Deploy(ctx, app); err != nil {
		return nil, nil, err
	}
	c := &contender{name: "semper, through its edge", address: s.HTTP, target: "/slow?ms=300000", costs: map[string][]float64{}, parts: func() (map[string][]int, error) {
		all, err := s.Processes()
		parts := map[string][]int{}
		for _, p := range all {
			if slices.Contains([]rig.Kind{rig.Edge, rig.Queue, rig.Store}, p.Kind) {
				parts[string(p.Kind)] = append(parts[string(p.Kind)], p.PID)
			}
		}
		return parts, err
	}}
	return []*contender{c}, end, warm(ctx, c)
}

// warm returns when the contender accepts.
func warm(ctx context.Context, c *contender) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := post(ctx, c.address, c.target, time.Second/2)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second / 10):
		case <-ctx.Done():
			return fmt.Errorf("%s does not accept: %w", c.name, err)
		}
	}
}

func build(ctx context.Context, dir, out, what string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, what)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", what, err, text)
	}
	return nil
}

// startBroker is RabbitMQ with a front for each kind of queue it has that keeps messages.
func startBroker(ctx context.Context) (all []*contender, _ func(), err error) {
	r, err := startRabbitMQ(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	program := filepath.Join(r.dir, "front")
	if err := build(ctx, "bench/queue/front", program, "."); err != nil {
		return nil, nil, err
	}
	for _, kind := range []string{"classic", "quorum"} {
		p, err := reserve.Open()
		if err != nil {
			return nil, nil, err
		}
		if err := r.run(program, "-amqp", "amqp://guest:guest@"+r.amqp+"/", "-http", p.Address(), "-type", kind); err != nil {
			return nil, nil, err
		}
		c := &contender{name: "RabbitMQ " + r.version + ", " + kind + " queue, persistent and confirmed", address: p.Address(), target: "/jobs", costs: map[string][]float64{}, parts: r.processes}
		if err := warm(ctx, c); err != nil {
			return nil, nil, err
		}
		all = append(all, c)
	}
	return all, r.stop, nil
}

// processes are those of the broker and its fronts: of the groups that were started here.
func (r *rabbitmq) processes() (map[string][]int, error) {
	parts := map[string][]int{}
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		group, err := syscall.Getpgid(pid)
		if err != nil {
			continue
		}
		for _, c := range r.commands {
			if c.group == group {
				parts[c.name] = append(parts[c.name], pid)
			}
		}
	}
	return parts, err
}
