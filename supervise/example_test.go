package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"semper/supervise"
)

// wait is the work of a service that does nothing but end when it is asked to.
func wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// A worker that crashes is restarted; nothing else notices.
func Example() {
	ctx := context.Background()
	var attempts int
	worker := func(ctx context.Context) error {
		attempts++
		if attempts == 1 {
			return errors.New("out of luck")
		}
		return wait(ctx)
	}
	var up sync.WaitGroup
	up.Add(3) // clock, worker, and worker again
	s, err := supervise.Start(ctx, supervise.Flags{Name: "app", Intensity: 3, Period: time.Minute}, []supervise.ChildSpec{
		{ID: "clock", Start: supervise.Serve(wait)},
		{ID: "worker", Start: supervise.Serve(worker)},
	}, supervise.Options{Observe: func(e supervise.Event) {
		if e.Kind == supervise.Ended {
			fmt.Println(e)
		}
		if e.Kind == supervise.Started {
			up.Done()
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	up.Wait()
	for _, c := range s.Children() {
		fmt.Println(c.ID, c.State, c.Restarts)
	}
	fmt.Println(s.Stop(ctx))
	// Output:
	// app/worker ended: crash: out of luck; restart at once (restart 1 within the window)
	// clock running 0
	// worker running 1
	// <nil>
}

// Supervisors nest: one that gives up ends with Shutdown, and the one above decides.
func Example_tree() {
	ctx := context.Background()
	inner := func(ctx context.Context) (supervise.Child, error) {
		return supervise.Start(ctx, supervise.Flags{Name: "inner"}, []supervise.ChildSpec{
			{ID: "hopeless", Start: supervise.Serve(func(context.Context) error { return errors.New("no disk") })},
		}, supervise.Options{})
	}
	outer, err := supervise.Start(ctx, supervise.Flags{Name: "outer", Intensity: 2}, []supervise.ChildSpec{
		{ID: "inner", Start: inner, Supervisor: true},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-outer.Done()
	fmt.Println(outer.Reason())
	// Output:
	// shutdown: inner: restart limit passed: 3 restarts in 5s
}

// A service whose instances are independent goes on restarting a bad one at back-off, and leaves the good ones alone.
func Example_persist() {
	ctx := context.Background()
	gaveUp := make(chan string, 1)
	s, err := supervise.Start(ctx, supervise.Flags{Name: "web", Intensity: 2, Period: time.Minute, GiveUp: supervise.Persist},
		[]supervise.ChildSpec{
			{ID: "web.1", Start: supervise.Serve(wait)},
			{
				ID:      "web.2",
				Start:   supervise.Serve(func(context.Context) error { return errors.New("bad config") }),
				Backoff: supervise.Backoff{Min: time.Millisecond, Max: time.Second},
			},
		}, supervise.Options{Observe: func(e supervise.Event) {
			if e.Kind == supervise.GaveUp {
				gaveUp <- e.Child + ": " + e.Decision
			}
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-gaveUp)
	fmt.Println(s.Children()[0].State)
	fmt.Println(s.Stop(ctx))
	// Output:
	// web.2: give up: 3 restarts in 1m0s, still restart in 2ms
	// running
	// <nil>
}

// Children that need earlier ones are restarted with them, and stopped before them.
func ExampleStrategy() {
	ctx := context.Background()
	service := func(name string) supervise.ChildSpec {
		return supervise.ChildSpec{ID: name, Start: supervise.ServeReady(func(ctx context.Context, ready func()) error {
			fmt.Println("start", name)
			ready()
			<-ctx.Done()
			fmt.Println("stop", name)
			return ctx.Err()
		})}
	}
	s, err := supervise.Start(ctx, supervise.Flags{Strategy: supervise.RestForOne}, []supervise.ChildSpec{
		service("database"), service("cache"), service("web"),
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Stop(ctx))
	// Output:
	// start database
	// start cache
	// start web
	// stop web
	// stop cache
	// stop database
	// <nil>
}

// A supervisor that is there for one task ends with it.
func ExampleAutoShutdown() {
	ctx := context.Background()
	s, err := supervise.Start(ctx, supervise.Flags{Name: "import", AutoShutdown: supervise.AnySignificant}, []supervise.ChildSpec{
		{ID: "progress", Start: supervise.Serve(wait)},
		{
			ID: "copy", Restart: supervise.Transient, Significant: true,
			Start: supervise.Serve(func(context.Context) error { return nil }),
		},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-s.Done()
	fmt.Println(s.Reason())
	// Output:
	// shutdown: copy: a significant child has ended
}

// A child for every job, as many as there are.
func ExampleDynamic() {
	ctx := context.Background()
	jobs, err := supervise.StartDynamic(ctx, supervise.DynamicFlags{Name: "jobs", MaxChildren: 2}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	job := supervise.ChildSpec{ID: "job", Restart: supervise.Temporary, Start: supervise.Serve(wait)}
	first, err := jobs.StartChild(ctx, job)
	fmt.Println(jobs.Count().Active, err)
	_, err = jobs.StartChild(ctx, job)
	fmt.Println(jobs.Count().Active, err)
	_, err = jobs.StartChild(ctx, job)
	fmt.Println(jobs.Count().Active, err)
	fmt.Println(jobs.TerminateChild(ctx, first), first.Reason())
	fmt.Println(jobs.Stop(ctx)) // the others, all at once
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 2 no room for another child: terminate one or raise MaxChildren
	// <nil> shutdown
	// <nil>
}

// A counter for each share of the keys: no key waits for another's partition.
func ExamplePartitions() {
	ctx := context.Background()
	p, err := supervise.StartPartitions(ctx, supervise.PartitionFlags{Name: "counters", Partitions: 4},
		func(int) supervise.ChildSpec { return supervise.ChildSpec{Start: supervise.Serve(wait)} }, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.For(7) == p.For(11), p.For(7) == p.For(8))
	fmt.Println(p.ForString("anna") == p.ForString("anna"))
	fmt.Println(p.Resize(ctx, 1), p.For(7) == p.For(8))
	fmt.Println(p.Stop(ctx))
	// Output:
	// true false
	// true
	// <nil> true
	// <nil>
}

// What is started after a child may rely on it: here the start of the listener is over when it listens.
func ExampleServeReady() {
	ctx := context.Background()
	listener := supervise.ServeReady(func(ctx context.Context, ready func()) error {
		fmt.Println("listening")
		ready()
		return wait(ctx)
	})
	broken := supervise.ServeReady(func(context.Context, func()) error { return errors.New("port 80 is taken") })
	_, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{
		{ID: "listener", Start: listener},
		{ID: "proxy", Start: broken},
	}, supervise.Options{})
	fmt.Println(err)
	// Output:
	// listening
	// start proxy: port 80 is taken
}

// An alarm is a child without a goroutine: a timer ends it, and it tells its supervisor itself.
type alarm struct {
	done chan struct{}

	mu     sync.Mutex // guards the following
	timer  *time.Timer
	ended  bool
	reason supervise.Reason
	told   []func()
}

func newAlarm(d time.Duration) *alarm {
	a := &alarm{done: make(chan struct{})}
	a.mu.Lock() // it may ring before there is a timer to stop
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(d, func() { a.end(supervise.Reason{Kind: supervise.Normal}) })
	return a
}

func (a *alarm) end(r supervise.Reason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.ended, a.reason = true, r
	a.timer.Stop()
	close(a.done)
	for _, f := range a.told {
		go f() // not under the lock that Reason takes
	}
}

func (a *alarm) Notify(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		go f()
		return
	}
	a.told = append(a.told, f)
}

func (a *alarm) Done() <-chan struct{} { return a.done }
func (a *alarm) Shutdown()             { a.end(supervise.Reason{Kind: supervise.Shutdown}) }
func (a *alarm) Kill()                 { a.end(supervise.Reason{Kind: supervise.Killed}) }

func (a *alarm) Reason() supervise.Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reason
}

// A child that tells of its own end needs no goroutine that waits for it.
func ExampleNotifier() {
	ctx := context.Background()
	rang := make(chan supervise.Event, 1)
	s, err := supervise.StartDynamic(ctx, supervise.DynamicFlags{Name: "alarms"}, supervise.Options{
		Observe: func(e supervise.Event) {
			if e.Kind == supervise.Ended {
				rang <- e
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range []time.Duration{time.Hour, time.Millisecond} {
		start := func(context.Context) (supervise.Child, error) { return newAlarm(d), nil }
		if _, err := s.StartChild(ctx, supervise.ChildSpec{ID: d.String(), Restart: supervise.Temporary, Start: start}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-rang)
	fmt.Println(s.Stop(ctx))
	// Output:
	// alarms/1ms ended: normal
	// <nil>
}

// A service that heeds nothing cannot be killed, but disowned: its successor runs, and it is listed until it returns.
func ExampleSupervisor_Abandoned() {
	ctx := context.Background()
	leave := make(chan struct{})
	s, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{{
		ID: "stuck", Shutdown: time.Millisecond,
		Start: supervise.Serve(func(context.Context) error { <-leave; return nil }),
	}}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.TerminateChild(ctx, "stuck"))
	for _, a := range s.Abandoned() {
		fmt.Println("abandoned:", a.Path)
	}
	close(leave)
	fmt.Println(s.Stop(ctx))
	// Output:
	// <nil>
	// abandoned: stuck
	// <nil>
}

// Settings change while the children run, as in a release upgrade.
func ExampleSupervisor_Change() {
	ctx := context.Background()
	spec := func(id string) supervise.ChildSpec { return supervise.ChildSpec{ID: id, Start: supervise.Serve(wait)} }
	s, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{spec("a"), spec("b")}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = s.Change(ctx, supervise.Flags{Strategy: supervise.OneForAll, Intensity: 3}, []supervise.ChildSpec{spec("new"), spec("b")})
	fmt.Println(err, s.Flags().Strategy)
	for _, c := range s.Children() {
		fmt.Println(c.ID, c.State)
	}
	fmt.Println(s.RestartChild(ctx, "new"))
	fmt.Println(s.Stop(ctx))
	// Output:
	// <nil> one_for_all
	// new undefined
	// b running
	// a running
	// <nil>
	// <nil>
}
