package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"semper/actor"
	"semper/supervise"
)

// StreamOptions are the settings of a Stream. The zero value is useful.
type StreamOptions struct {
	MaxConcurrency int           // tasks that run at the same time; zero: GOMAXPROCS
	Unordered      bool          // results come as they are ready, not in the order of the input
	Timeout        time.Duration // for each item, from the start of its task; zero: none
	OnTimeout      OnTimeout     // Exit: the timeout of an item ends the stream; KillTask: it is the error of that item
	Grace          time.Duration // for tasks to end when the loop does, before they are killed; zero: supervise.DefaultShutdown
}

// An ItemError is the error of one item of a Stream: what its function returned, an *actor.ExitError when that panicked,
// or context.DeadlineExceeded when it was not in time. Its text does not show the input.
type ItemError[T any] struct {
	Index int // of the item in the input, from 0
	Input T
	Err   error
}

func (e *ItemError[T]) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }

// Unwrap is the error of the task.
func (e *ItemError[T]) Unwrap() error { return e.Err }

// Stream calls fn for each item of in, in tasks of which at most MaxConcurrency run at a time, and gives their results
// to a range loop. An error is an *ItemError, and the loop goes on after it. Nothing runs before the loop does; in is
// read by the loop's own goroutine, one item ahead of a free place, so that an endless or lazy input is fine.
//
//	for page, err := range task.Stream(ctx, slices.Values(urls), fetch, task.StreamOptions{MaxConcurrency: 8}) {
//
// When the loop ends early (break, return, a panic), or ctx does, the tasks that run are asked to end and waited for,
// up to Grace; those left are killed. The end of ctx, and a timeout of an item under OnTimeout Exit, is a last error of
// the loop, wrapping the cause.
//
// The tasks are those of Async, with the same options, and linked to a process that ctx is of: without Nolink a panic
// of one ends that process. In order, results that come early are kept until it is their turn, however many.
func Stream[T, R any](ctx context.Context, in iter.Seq[T], fn func(ctx context.Context, item T) (R, error), s StreamOptions, o ...Option) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		run := &stream[T, R]{StreamOptions: s, ctx: ctx, fn: fn, yield: yield}
		if err := run.prepare(in, gather(o)); err != nil {
			var zero R
			yield(zero, err)
			return
		}
		run.options = append(slices.Clone(o), Label(run.label))
		run.all(in)
	}
}

// stream is one range loop over a Stream.
type stream[T, R any] struct {
	StreamOptions
	ctx     context.Context
	fn      func(context.Context, T) (R, error)
	yield   func(R, error) bool
	options []Option
	label   string

	next    int                // index of the next input
	running []*item[T, R]      // in the order of their starts, and so of their times
	ended   chan *item[T, R]   // those of running that have ended; has room for all
	ready   map[int]outcome[R] // in order: results before their turn
	turn    int                // the index whose turn it is
	timer   *time.Timer        // of the first that runs
	clock   <-chan time.Time
}

type outcome[R any] struct {
	value R
	err   error
}

// item is an input whose task runs.
type item[T, R any] struct {
	index int
	input T
	task  *Task[R]
	due   time.Time
	late  bool // was killed by its timeout
}

func (s *stream[T, R]) prepare(in iter.Seq[T], set settings) error {
	if err := errors.Join(check(s.ctx, s.fn == nil || in == nil, set), once(set)); err != nil {
		return err
	}
	if s.MaxConcurrency < 0 || s.Timeout < 0 || s.Grace < 0 || s.OnTimeout < Exit || s.OnTimeout > KillTask {
		return fmt.Errorf("%w: a stream with %+v, want no negative number, and Exit or KillTask", actor.ErrInvalid, s.StreamOptions)
	}
	if s.MaxConcurrency == 0 {
		s.MaxConcurrency = runtime.GOMAXPROCS(0)
	}
	if s.Grace == 0 {
		s.Grace = supervise.DefaultShutdown
	}
	if s.Timeout > 0 {
		s.timer = time.NewTimer(s.Timeout)
		s.clock = s.timer.C
	}
	if !s.Unordered {
		s.ready = make(map[int]outcome[R])
	}
	if s.label = set.label; s.label == "" {
		s.label = nameOf(s.fn)
	}
	s.ended = make(chan *item[T, R], s.MaxConcurrency)
	return nil
}

// all is the loop: start while there is a place, else wait for one.
func (s *stream[T, R]) all(in iter.Seq[T]) {
	defer s.halt()
	for v := range in {
		for len(s.running) == s.MaxConcurrency {
			if !s.step() {
				return
			}
		}
		s.start(v)
		for len(s.ended) > 0 {
			if !s.finish(<-s.ended) {
				return
			}
		}
	}
	for len(s.running) > 0 {
		if !s.step() {
			return
		}
	}
}

func (s *stream[T, R]) start(v T) {
	i := &item[T, R]{index: s.next, input: v}
	s.next++
	fn := s.fn
	i.task = Async(s.ctx, func(ctx context.Context) (R, error) { return fn(ctx, v) }, s.options...)
	if s.Timeout > 0 {
		i.due = time.Now().Add(s.Timeout)
		if len(s.running) == 0 {
			s.timer.Reset(s.Timeout)
		}
	}
	s.running = append(s.running, i)
	i.task.notify(func() { s.ended <- i })
}

// step waits for the next thing that happens, and reports whether the loop goes on.
func (s *stream[T, R]) step() bool {
	select {
	case i := <-s.ended:
		return s.finish(i)
	default:
	}
	select {
	case i := <-s.ended:
		return s.finish(i)
	case <-s.clock:
		s.expire()
		return true
	case <-s.ctx.Done():
	}
	// One whose crash ends the owner, and so ctx, is in time.
	if slices.ContainsFunc(s.running, func(i *item[T, R]) bool { return !i.task.pid.Alive() }) {
		return s.finish(<-s.ended)
	}
	return s.over()
}

// over is the last error, when the context of the stream has ended.
func (s *stream[T, R]) over() bool {
	var zero R
	s.yield(zero, fmt.Errorf("the stream was broken off with its context: %w", context.Cause(s.ctx)))
	return false
}

// finish gives the result of a task that has ended, or keeps it until its turn.
func (s *stream[T, R]) finish(i *item[T, R]) bool {
	at := slices.Index(s.running, i)
	s.running = slices.Delete(s.running, at, at+1)
	if at == 0 {
		s.rewind()
	}
	v, err := i.task.take()
	timeout := i.late && i.task.ended(err)
	if timeout {
		err = fmt.Errorf("no result within %v, so its task was killed: %w", s.Timeout, context.DeadlineExceeded)
	}
	if s.ctx.Err() != nil && i.task.ended(err) && i.task.pid.Reason().Kind == actor.Shutdown {
		return s.over() // it ended as the context did
	}
	if err != nil {
		err = &ItemError[T]{Index: i.index, Input: i.input, Err: err}
	}
	if timeout && s.OnTimeout == Exit {
		s.yield(v, err)
		return false
	}
	if s.Unordered {
		return s.yield(v, err)
	}
	s.ready[i.index] = outcome[R]{v, err}
	for {
		out, ok := s.ready[s.turn]
		if !ok {
			return true
		}
		delete(s.ready, s.turn)
		s.turn++
		if !s.yield(out.value, out.err) {
			return false
		}
	}
}

// rewind sets the timer to the time of the first that runs.
func (s *stream[T, R]) rewind() {
	if s.Timeout > 0 && len(s.running) > 0 {
		s.timer.Reset(time.Until(s.running[0].due))
	}
}

// expire kills the tasks whose time is over. Their ends come as all others do.
func (s *stream[T, R]) expire() {
	now := time.Now()
	for _, i := range s.running {
		if now.Before(i.due) {
			s.timer.Reset(i.due.Sub(now))
			return
		}
		if !i.late {
			i.late = true
			i.task.kill()
		}
	}
}

// halt ends what still runs and waits for it.
func (s *stream[T, R]) halt() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if len(s.running) == 0 {
		return
	}
	for _, i := range s.running {
		i.task.giveUp()
		i.task.ask(actor.Reason{Kind: actor.Shutdown})
	}
	grace := time.NewTimer(s.Grace)
	defer grace.Stop()
	over := false
	for _, i := range s.running {
		if !over && !i.late {
			select {
			case <-i.task.pid.Gone():
				continue
			case <-grace.C:
				over = true
			}
		}
		i.task.kill()
	}
}
