package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"semper"
)

const pool = semper.PoolKey("bench/production/web")

// A scale is how large a trial is.
type scale struct {
	n    int // that wait
	rate int // at which they go on, per second
}

// A trial is one hold: who waits, what that costs, and how they go on.
type trial struct {
	scale
	heap  string // the file that a profile of the edge goes to while all wait; empty: none is wanted
	edge  *proxy
	epoch semper.Epoch

	instance *instance
	clients  []*client // that wait, by number: in the order in which they came, but within a group
	late     []*client // that come when the line moves
	group    int       // how many come at the same time
	wg       sync.WaitGroup
}

// figures are what a trial shows.
type figures struct {
	Waiting   int
	Rate      int
	Held      float64 // beyond its idle connection
	Idle      float64
	Refused   int // of as many as asked
	Asked     int
	GaveUp    int
	Served    int // of those who waited, and came late
	Lost      int
	Losses    map[string]int // by what became of them
	P50       float64        // from the end of the hold
	P99       float64
	Longest   float64
	Whole     float64 // of the pace
	Peak      float64 // the most that came in a tenth of a second, of what the pace says
	Overtaken int     // places that anybody came later than his class let him expect
}

// table is the next route table: everything to the instance, as a release.
func (t *trial) table(release int, held bool) semper.Table {
	t.epoch++
	p := semper.Pool{Key: pool, App: "bench", Release: semper.NameRelease(release),
		Backend: []semper.Backend{{ID: semper.InstanceID(fmt.Sprintf("web.r%d.1", release)), Address: t.instance.address}},
		Limits:  semper.HoldLimits{Requests: t.n, Bytes: int64(t.n) * content, Age: semper.Duration(time.Hour), Rate: t.rate}}
	if held {
		p.Hold = semper.Holds{{By: "bench/hold"}}
	}
	routes := []semper.Route{{Path: "/", Pool: pool}}
	for path, class := range map[string]string{"/low": "background", "/high": "critical"} {
		routes = append(routes, semper.Route{Path: path, Pool: pool, RouteWords: semper.RouteWords{Policy: []byte(`{"class":"` + class + `"}`)}})
	}
	return semper.Table{Epoch: t.epoch, Routes: routes, Pools: []semper.Pool{p}}
}

// run is the whole trial.
func (t *trial) run(ctx context.Context) (f figures, err error) {
	if t.instance, err = startInstance(); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.instance.stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer t.wg.Wait()
	defer t.leave()
	defer cancel()
	f.Waiting, f.Rate, t.group = t.n, t.rate, max(1, min(t.n/10, 250))
	for _, step := range []func(context.Context, *figures) error{t.wait, t.overfill, t.giveUp, t.resume} {
		if err := step(ctx, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (t *trial) leave() {
	for _, c := range slices.Concat(t.clients, t.late) {
		if c.conn != nil {
			_ = c.conn.Close()
		}
	}
}

// connected are n clients that have been answered once.
func (t *trial) connected(ctx context.Context, first, n int) ([]*client, error) {
	all := make([]*client, n)
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += len(errs) {
				all[k] = &client{number: first + k}
				errs[i] = all[k].connect(ctx, t.edge.HTTP)
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(all, func(c *client) bool { return c == nil }), errors.Join(errs...)
}

// wait brings everybody in line, and measures what that costs.
func (t *trial) wait(ctx context.Context, f *figures) (err error) {
	if err := t.edge.apply(ctx, t.table(1, false)); err != nil {
		return err
	}
	if t.clients, err = t.connected(ctx, 0, t.n); err != nil {
		return err
	}
	idle, err := t.edge.memory(ctx)
	if err != nil {
		return err
	}
	if err := t.edge.apply(ctx, t.table(1, true)); err != nil {
		return err
	}
	for at := 0; at < t.n; at += t.group {
		for _, c := range t.clients[at:min(at+t.group, t.n)] {
			t.wg.Go(func() { c.exchange(ctx) })
		}
		if err := t.until(ctx, min(at+t.group, t.n)); err != nil {
			return err
		}
	}
	if err := pass(ctx, 2*pieces*between); err != nil { // slow content is under way still
		return err
	}
	waiting, err := t.edge.memory(ctx)
	f.Idle, f.Held = float64(idle), float64(waiting-idle)/float64(t.n)
	if err == nil && t.heap != "" {
		err = t.edge.heap(ctx, t.heap)
	}
	return err
}

// until returns when n wait.
func (t *trial) until(ctx context.Context, n int) error {
	for began := time.Now(); ; {
		held, err := t.edge.held(ctx)
		if err != nil || held == n {
			return err
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%d requests wait, and should be %d", held, n)
		}
		if err := pass(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// overfill has more come than may wait.
func (t *trial) overfill(ctx context.Context, f *figures) error {
	f.Asked = max(3, t.n/100)
	more, err := t.strangers(ctx, f.Asked)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, c := range more {
		wg.Go(func() { c.exchange(ctx) })
	}
	wg.Wait()
	for _, c := range more {
		if c.err == nil && c.status == 503 && c.word == "hold-requests" && c.again {
			f.Refused++
		}
		_ = c.conn.Close()
	}
	return t.until(ctx, t.n)
}

// strangers are clients with new connections, of the lowest class: of a full line they take nobody's place.
func (t *trial) strangers(ctx context.Context, n int) ([]*client, error) {
	all := make([]*client, n)
	for i := range all {
		all[i] = &client{number: (t.n + i) * int(manners) * len(paths)}
		conn, err := dial(ctx, t.edge.HTTP)
		if err != nil {
			return nil, err
		}
		all[i].take(conn)
	}
	return all, nil
}

// giveUp has some leave. Their places are free for others, who go on as everybody.
func (t *trial) giveUp(ctx context.Context, f *figures) (err error) {
	f.GaveUp = max(1, t.n/20)
	for _, c := range t.clients[:f.GaveUp] {
		c.reset()
	}
	if err := t.until(ctx, t.n-f.GaveUp); err != nil {
		return err
	}
	t.clients = t.clients[f.GaveUp:]
	newer, err := t.strangers(ctx, f.GaveUp)
	if err != nil {
		return err
	}
	for i, c := range newer {
		c.number = t.n + i
		t.wg.Go(func() { c.exchange(ctx) })
	}
	t.clients = append(t.clients, newer...)
	return t.until(ctx, t.n)
}

// resume ends the hold. While the line moves others come, and go behind it.
func (t *trial) resume(ctx context.Context, f *figures) (err error) {
	if t.late, err = t.strangers(ctx, max(1, t.n/50)); err != nil {
		return err
	}
	released := time.Now()
	if err := t.edge.apply(ctx, t.table(2, false)); err != nil {
		return err
	}
	for i, c := range t.late {
		c.number = 2*t.n + i
		t.wg.Go(func() { c.exchange(ctx) })
	}
	t.wg.Wait()
	f.Whole = float64(t.n) / float64(t.rate)
	t.tell(f, released)
	return nil
}
