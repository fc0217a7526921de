package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"semper/actor"
	"semper/supervise"
)

// A scale makes counts smaller, for a quick run.
type scale int

func (s scale) of(n int) int { return max(10, n/int(s)) }

// figures are the numbers of one run of one group, by name.
type figures map[string]float64

// groups are the measurements on the Go side. Each is run in a program of its own, as each of otp.erl's is in a virtual
// machine of its own.
var groups = map[string]func(scale, figures){
	"call": calls, "cast": casts, "start": startCosts, "idle": idle, "crash": crashes, "ring": rings, "fanin": fanIn,
	"timers":    func(s scale, f figures) { f["timers"], _ = timersOf(s.of(1_000_000)) },
	"timerscpu": func(s scale, f figures) { _, f["timers_cpu"] = timersOf(s.of(1_000_000)) },
	"growth":    growth, "dynamic": dynamics, "million": million,
}

// per warms up, then measures: nanoseconds for each of n.
func per(n int, f func(n int)) float64 {
	f(max(1, n/10))
	runtime.GC() // what the last measurement left is not the debt of this one; its own is collected as it goes
	return timed(func() { f(n) }) / float64(n)
}

func timed(f func()) float64 {
	t := time.Now()
	f()
	return float64(time.Since(t))
}

func calls(s scale, f figures) {
	to, n := start(), s.of(300_000)
	f["call"] = callCost(to, n)
	f["call_deadline"] = per(n, func(n int) {
		for range n {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			must(actor.Call(ctx, to, ask))
			cancel()
		}
	})
	f["call_shared"] = per(n, func(n int) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		for range n {
			must(actor.Call(ctx, to, ask))
		}
	})
	caller := start()
	f["call_process"] = per(n, func(n int) {
		must(actor.Call(context.Background(), caller, func(from actor.From[int]) message { return callOther{to, n, from} }))
	})
	f["plain_call"] = plainCall(n)
}

func callCost(to actor.Ref[message], n int) float64 {
	return per(n, func(n int) {
		for range n {
			must(actor.Call(context.Background(), to, ask))
		}
	})
}

func casts(s scale, f figures) {
	n := s.of(1_000_000)
	f["cast"] = castCost(start(), n)
	f["plain_cast"] = plainCast(n)
}

func castCost(to actor.Ref[message], n int) float64 {
	return per(n, func(n int) {
		done := make(chan struct{})
		for i := n - 1; i >= 0; i-- {
			check(to.Cast(tick{i, done}))
		}
		<-done
	})
}

func startCosts(s scale, f figures) {
	n, bg := s.of(100_000), context.Background()
	f["start"] = per(n, func(n int) { runtime.KeepAlive(starts(bg, n, actor.Options{})) })
	f["start_link"] = per(n, func(n int) {
		parent := start()
		linked := actor.Options{Link: true}
		refs := must(actor.Call(bg, parent, func(from actor.From[[]actor.Ref[message]]) message { return spawn{n, linked, from} }))
		runtime.KeepAlive(refs)
	})
	warm, d := dynamic(), dynamic()
	populate(warm, n/10)
	stop(warm)
	runtime.GC()
	f["start_child"] = timed(func() { populate(d, n) }) / float64(n)
	stop(d)
	f["plain_start"] = plainStart(n)
}

func idle(s scale, f figures) {
	n := s.of(100_000)
	f["idle"] = bytesOf(func() any {
		refs := starts(context.Background(), n, actor.Options{})
		awake(refs)
		return refs
	}) / float64(n)
	d := dynamic()
	f["idle_supervised"] = bytesOf(func() any {
		populate(d, n)
		for _, c := range d.Children() {
			must(actor.Call(context.Background(), must(actor.RefOf[message](c.Child.(interface{ PID() actor.PID }).PID())), ask))
		}
		return nil
	}) / float64(n)
	stop(d)
	f["plain_idle"] = plainIdle(n)
}

// bytesOf is what f adds to the heap and the stacks.
func bytesOf(f func() any) float64 {
	before := inUse()
	v := f()
	after := inUse()
	runtime.KeepAlive(v)
	return after - before
}

func inUse() float64 {
	runtime.GC()
	runtime.GC() // what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

func crashes(s scale, f figures) {
	n := s.of(2000)
	off := actor.WithReporter(context.Background(), nil)
	crashing := func(r actor.Ref[message]) { check(r.Cast(crash{})) }
	f["restart_killed"] = restarts(off, n, func(r actor.Ref[message]) { r.PID().Kill() })
	f["restart_crashed"] = restarts(off, n, crashing)
	null := must(os.OpenFile(os.DevNull, os.O_WRONLY, 0))
	slog.SetDefault(slog.New(slog.NewTextHandler(null, nil)))
	f["restart_reported"] = restarts(context.Background(), n, crashing)
	check(null.Close())
}

// restarts has a supervisor for every 200, as otp.erl, where adding one looks at all those of the period.
func restarts(ctx context.Context, n int, end func(actor.Ref[message])) float64 {
	const each = 200
	rounds := max(1, n/each)
	restartsOf(ctx, each, end)
	total := 0.0
	for range rounds {
		total += restartsOf(ctx, each, end)
	}
	return total / float64(rounds*each)
}

func restartsOf(ctx context.Context, n int, end func(actor.Ref[message])) float64 {
	up := make(chan actor.Ref[message], 1)
	spec := actor.Child("c", func() actor.Server[message] { return &upServer{up: up} }, actor.Options{})
	flags := supervise.Flags{Intensity: 1_000_000, Period: 5 * time.Second}
	sup := must(supervise.Start(ctx, flags, []supervise.ChildSpec{spec}, supervise.Options{}))
	now := func() actor.Ref[message] {
		r := <-up
		must(actor.Call(context.Background(), r, ask))
		return r
	}
	r := now()
	d := timed(func() {
		for range n {
			end(r)
			r = now()
		}
	})
	check(sup.Stop(context.Background()))
	return d
}

func rings(s scale, f figures) {
	n := s.of(1_000_000)
	first := start()
	to := first
	for range 999 {
		r := start()
		check(r.Cast(next{to}))
		to = r
	}
	check(first.Cast(next{to}))
	f["ring"] = per(n, func(n int) {
		done := make(chan struct{})
		check(first.Cast(hop{n, done}))
		<-done
	})
	f["plain_ring"] = plainRing(n)
}

func fanIn(s scale, f figures) {
	n := s.of(10_000)
	fan(n, 100)
	runtime.GC()
	f["fanin"] = fan(n, 100) / float64(n*100)
	f["plain_fanin"] = plainFan(n, 100) / float64(n*100)
}

func fan(n, each int) float64 {
	to, done := start(), make(chan struct{})
	senders := starts(context.Background(), n, actor.Options{})
	for _, r := range senders {
		check(r.Cast(next{to}))
	}
	awake(senders)
	check(to.Cast(expect{n * each, done}))
	return timed(func() {
		for _, r := range senders {
			check(r.Cast(fire{each}))
		}
		<-done
	})
}

func timersOf(n int) (wall, cpu float64) {
	to, done := start(), make(chan struct{})
	before := cpuTime()
	wall = timed(func() {
		check(to.Cast(timers{n, done}))
		<-done
	})
	return wall, cpuTime() - before
}

func cpuTime() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func growth(s scale, f figures) {
	to := start()
	measure := func(beside string) {
		f["call_"+beside] = callCost(to, s.of(300_000))
		f["cast_"+beside] = castCost(to, s.of(1_000_000))
	}
	measure("alone")
	full := start()
	check(full.PID().Suspend(context.Background()))
	for range s.of(1_000_000) {
		check(full.Cast(tick{left: 1}))
	}
	measure("backlog")
	full.PID().Kill()
	many := starts(context.Background(), s.of(1_000_000), actor.Options{})
	awake(many)
	measure("many")
	runtime.KeepAlive(many)
}

func dynamics(s scale, f figures) {
	few, many := s.of(10_000), s.of(100_000)
	whole(few)
	total := 0.0
	for range 10 {
		total += whole(few)
	}
	f["dynamic_few"] = total / 10 / float64(few)
	f["dynamic_many"] = whole(many) / float64(many)
}

func whole(n int) float64 {
	runtime.GC()
	return timed(func() {
		d := dynamic()
		populate(d, n)
		stop(d)
	})
}

func million(s scale, f figures) {
	n := s.of(1_000_000)
	resident := rss()
	f["million_bytes"] = bytesOf(func() any {
		var refs []actor.Ref[message]
		f["million_time"] = timed(func() {
			refs = starts(context.Background(), n, actor.Options{})
			awake(refs)
		})
		f["million_rss"] = rss() - resident
		return refs
	})
}

// rss is the resident memory of this program, in bytes.
func rss() float64 {
	text := string(must(os.ReadFile("/proc/self/status")))
	_, after, _ := strings.Cut(text, "VmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	return must(strconv.ParseFloat(kb, 64)) * 1024
}
