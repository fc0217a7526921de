package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"semper/queue"
	engine "semper/queue/etcd"
	"semper/store/etcd"
)

type bench struct {
	store      *server
	span       time.Duration
	semper     string       // binary
	only       string       // measurement; "" for all
	puts       atomic.Int64 // raw
	acceptRate float64
	jobRate    float64
	services   int
	jobs       int              // of the backlog
	raws       *clientv3.Client // of the store, without semper
}

var body = make([]byte, 1024)

func job() queue.Job {
	return queue.Job{Request: queue.Request{Method: "POST", Target: "/jobs", Body: body}}
}

// open is a queue of a new service, or of the last one again, and what closes it.
func (b *bench) open(ctx context.Context, again bool) (queue.Queue, func(), error) {
	client, err := etcd.Open(ctx, b.store.socket(), etcd.Options{})
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(client, engine.Options{ID: "bench"})
	if err != nil {
		return nil, nil, err
	}
	if !again {
		b.services++
	}
	q, err := e.Open(ctx, queue.Service{App: "bench", Environment: "p", Service: fmt.Sprint("s", b.services)}, queue.Policy{MaxJobs: 10_000_000, MaxBytes: 8 << 30})
	return q, func() { _ = errors.Join(e.Close(), client.Close()) }, err
}

// rate runs f in n goroutines for the span, or until f has nothing left, and gives what they did per second and what
// that cost.
func (b *bench) rate(n int, f func(ctx context.Context) (int, error)) (float64, string, error) {
	was, err := b.spent()
	if err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.span)
	defer cancel()
	var done atomic.Int64
	errs := make(chan error, n)
	var wg sync.WaitGroup
	begin := time.Now()
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				k, err := f(ctx)
				done.Add(int64(k))
				if err != nil && ctx.Err() == nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin).Seconds()
	select {
	case err := <-errs:
		return 0, "", err
	default:
		return float64(done.Load()) / took, b.per(was, done.Load()), nil
	}
}

// raw is etcd without a queue: puts of 1 KB, 128 to a transaction, as many transactions at a time as the queue has.
func (b *bench) raw() (float64, string, error) {
	return b.rate(3, func(ctx context.Context) (int, error) {
		ops := make([]clientv3.Op, 128)
		for i := range ops {
			ops[i] = clientv3.OpPut(fmt.Sprint("raw/", b.puts.Add(1)), string(body))
		}
		_, err := b.raws.Txn(ctx).Then(ops...).Commit()
		return len(ops), err
	})
}

// accept is beside raw, in turns.
func (b *bench) accept(w io.Writer) error {
	q, end, err := b.open(context.Background(), false)
	if err != nil {
		return err
	}
	defer end()
	var raw, accepted, ratios []float64
	var rawPrice, price string
	for range rounds {
		var put, took float64
		if put, rawPrice, err = b.raw(); err != nil {
			return err
		}
		if took, price, err = b.enqueueRate(q); err != nil {
			return err
		}
		raw, accepted, ratios = append(raw, put), append(accepted, took), append(ratios, took/put)
	}
	slices.Sort(raw)
	slices.Sort(accepted)
	slices.Sort(ratios)
	b.acceptRate = accepted[rounds/2]
	fmt.Fprintf(w, "| raw etcd, puts in transactions of 128 | %.0f/s | %s | |\n", raw[rounds/2], rawPrice)
	fmt.Fprintf(w, "| accepted, 512 callers, in turns with that | %.0f/s, %.2f of raw (%.2f to %.2f) | %s | 0.8 of raw |\n", b.acceptRate, ratios[rounds/2], ratios[0], ratios[rounds-1], price)
	return nil
}

func (b *bench) enqueueRate(q queue.Queue) (float64, string, error) {
	return b.rate(512, func(ctx context.Context) (int, error) {
		_, err := q.Enqueue(ctx, job())
		if err != nil {
			return 0, err
		}
		return 1, nil
	})
}

// dispatch works off the backlog that accept left: claim, complete with a result.
func (b *bench) dispatch(w io.Writer) error {
	q, end, err := b.open(context.Background(), true)
	if err != nil {
		return err
	}
	defer end()
	if err := first(q); err != nil {
		return err
	}
	var price string
	b.jobRate, price, err = b.rate(32, func(ctx context.Context) (int, error) { return work(ctx, q, 32, nil) })
	fmt.Fprintf(w, "| jobs claimed and completed, from a backlog | %.0f/s | %s | 4,000/s |\n", b.jobRate, price)
	return err
}

// first returns when the queue's dispatcher has handed out a job.
func first(q queue.Queue) error {
	_, err := work(context.Background(), q, 1, nil)
	return err
}

func work(ctx context.Context, q queue.Queue, n int, did func(queue.Claim)) (int, error) {
	claims, err := q.Claim(ctx, "bench", n)
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(claims))
	var wg sync.WaitGroup
	for i, c := range claims {
		wg.Go(func() {
			errs[i] = q.Complete(context.WithoutCancel(ctx), c.Lease, queue.Result{Status: 200})
		})
		if did != nil {
			did(c)
		}
	}
	wg.Wait()
	return len(claims), errors.Join(errs...)
}

// latencyTurns are odd, so that one of them is the median: a disk that others write to stands still for tens of milliseconds now and then,
// which is the slowest of a hundred of a whole turn.
const latencyTurns = 5

// latency is the time from Enqueue to the start of a job at half the rate that they can be done at, in turns, on a store that holds nothing else.
func (b *bench) latency(w io.Writer) error {
	if err := b.fresh(); err != nil {
		return err
	}
	q, end, err := b.open(context.Background(), false)
	if err != nil {
		return err
	}
	defer end()
	if _, err := q.Enqueue(context.Background(), job()); err != nil {
		return err
	}
	if err := first(q); err != nil {
		return err
	}
	was, err := b.spent()
	if err != nil {
		return err
	}
	var middle, tail []time.Duration
	var jobs int
	for range latencyTurns {
		took := b.paced(q, b.jobRate/2)
		if len(took) == 0 {
			return errors.New("no job was done")
		}
		at := func(p float64) time.Duration { return took[int(p*float64(len(took)-1))].Round(10 * time.Microsecond) }
		middle, tail, jobs = append(middle, at(.5)), append(tail, at(.99)), jobs+len(took)
	}
	slices.Sort(middle)
	slices.Sort(tail)
	of := func(all []time.Duration) string {
		return fmt.Sprintf("%s (%s to %s)", all[latencyTurns/2], all[0], all[latencyTurns-1])
	}
	fmt.Fprintf(w, "| from Enqueue to the start of the job, %.0f/s, median of %d turns of %s, %d jobs | p50 %s, p99 %s | %s | 5 ms, 25 ms |\n",
		b.jobRate/2, latencyTurns, b.span, jobs, of(middle), of(tail), b.per(was, int64(jobs)))
	return nil
}

// paced hands in jobs on a timetable and does them. It returns how long each waited for its start, sorted.
func (b *bench) paced(q queue.Queue, rate float64) (took []time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), b.span)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = work(ctx, q, 16, func(c queue.Claim) {
					d := time.Since(c.NotBefore)
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				})
			}
		})
	}
	begin := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		due := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if d := time.Until(due); d > 0 {
			time.Sleep(d) // the timetable of the load
		}
		wg.Go(func() {
			j := job()
			j.NotBefore = due // which is past: when it should have been sent
			_, _ = q.Enqueue(ctx, j)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// fill makes a large backlog, in a store that holds nothing else.
func (b *bench) fill(w io.Writer, jobs int) error {
	ctx := context.Background()
	if err := b.fresh(); err != nil {
		return err
	}
	q, end, err := b.open(ctx, false)
	if err != nil {
		return err
	}
	defer end()
	was, err := b.spent()
	if err != nil {
		return err
	}
	b.jobs = jobs
	var left atomic.Int64
	left.Store(int64(jobs))
	var wg sync.WaitGroup
	errs := make(chan error, 512)
	for range cap(errs) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := q.Enqueue(ctx, job()); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	fmt.Fprintf(w, "| a backlog of %d; memory of the store, of this process | %s, %s | %s | 700 MB |\n", jobs, rss(b.store.cmd.Process.Pid, "VmRSS"), rss(os.Getpid(), "VmRSS"), b.per(was, int64(jobs)))
	return nil
}

// restart is what the backlog costs after kill -9 of everything: the time to the first job, memory, and the rate of
// accepting.
func (b *bench) restart(w io.Writer) error {
	ctx := context.Background()
	b.store.kill()
	begin := time.Now()
	if err := b.store.start(); err != nil {
		return err
	}
	up := time.Since(begin)
	was, err := b.spent()
	if err != nil {
		return err
	}
	q, end, err := b.open(ctx, true)
	if err != nil {
		return err
	}
	defer end()
	if err := first(q); err != nil {
		return err
	}
	fmt.Fprintf(w, "| from kill -9 to its first job | %s, of which the store %s | %.0f ms in the store's start; %s | 3 s |\n",
		time.Since(begin).Round(time.Millisecond), up.Round(time.Millisecond), was.store.Seconds()*1000, b.per(was, int64(b.jobs)))
	fmt.Fprintf(w, "| its memory: store, this process | %s, %s (most: %s, %s) | | 700 MB |\n", rss(b.store.cmd.Process.Pid, "VmRSS"), rss(os.Getpid(), "VmRSS"), rss(b.store.cmd.Process.Pid, "VmHWM"), rss(os.Getpid(), "VmHWM"))
	rate, price, err := b.enqueueRate(q)
	fmt.Fprintf(w, "| accepted with that backlog | %.0f/s, %.2f of without | %s | unchanged |\n", rate, rate/b.acceptRate, price)
	return err
}

func rss(pid int, field string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			var kb int
			if _, err := fmt.Sscan(rest, &kb); err == nil {
				return fmt.Sprintf("%d MB", kb>>10)
			}
		}
	}
	return "unknown"
}
