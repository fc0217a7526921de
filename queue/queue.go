package queue

import (
	"context"
	"time"
)

// A Listing is a queue as its dispatcher wrote it down.
type Listing struct {
	Service Service   `json:"service"`
	Policy  Policy    `json:"policy"` // filled
	Stats   Stats     `json:"stats"`  // of At; without the pause, which is asked for
	At      time.Time `json:"at"`
}

// Engine holds queues. Its methods are safe for concurrent use.
type Engine interface {
	// Open is the queue of a service, which is worked by p from now on. Opening what is open gives the same queue its
	// new policy. It does not wait for what is stored to be read.
	Open(ctx context.Context, s Service, p Policy) (Queue, error)
	// Close gives dispatching up and returns when nothing of the engine runs. Leases stay as they are.
	Close() error
}

// Queue is the jobs of one service. Its methods are safe for concurrent use, by any number of processes.
type Queue interface {
	Producer
	Worker
	Operator
	Viewer
}

// Producer is what accepts.
type Producer interface {
	// Enqueue returns when j is durable. Under an idempotency key that is remembered it gives the job that is there, or
	// [ErrKeyReused] where that was another request. [ErrFull] when the backlog is at its bound, [ErrTooLarge] for a body
	// over its bound. After Unavailable it may be there or not.
	Enqueue(ctx context.Context, j Job) (Receipt, error)
}

// Worker is what does jobs.
type Worker interface {
	// Claim gives 1 to max jobs to worker, which is a name for people. It waits until there are any that may start and
	// this process is the one that hands them out, or until ctx ends; then it gives ctx's error and no job.
	Claim(ctx context.Context, worker string, max int) ([]Claim, error)
	// Extend makes the lease hold for the policy's time from now. [ErrLeaseLost] when another may have the job.
	Extend(ctx context.Context, l Lease) error
	// Complete ends the job with its result. [ErrLeaseLost] when the lease ended, and then nothing is changed. The same
	// call again, after an answer that was lost, is ErrLeaseLost too: the job is done, and Get says so.
	Complete(ctx context.Context, l Lease, r Result) error
	// Fail ends the attempt and gives what the policy made of the job: Delayed or Dead.
	Fail(ctx context.Context, l Lease, f Failure) (State, error)
	// Release gives the job back as if it had not been claimed. For whoever could not even begin.
	Release(ctx context.Context, l Lease) error
}

// Operator is what people do to a queue. Everything is recorded with who did it.
type Operator interface {
	// Pause is a barrier: no claim is committed after it returns, by any process. Pausing what is paused changes nothing
	// and gives the pause that is there.
	Pause(ctx context.Context, by By) (Pause, error)
	// Resume ends a pause; without one it does nothing.
	Resume(ctx context.Context, by By) error
	// Drained returns when nothing runs. Without a pause that may be over at once.
	Drained(ctx context.Context) error
	// Retry makes dead jobs queued, with all attempts before them. It gives how many; others among ids are an error
	// ([ErrNotFound], or [ErrState] when not dead), and the ones before it are done. At most MaxIDs.
	Retry(ctx context.Context, by By, ids ...ID) (int, error)
	// Discard ends jobs that are queued, delayed or dead; as Retry.
	Discard(ctx context.Context, by By, ids ...ID) (int, error)
	// Deeds are what operators did, newest first.
	Deeds(ctx context.Context, limit int) ([]Deed, error)
}

// MaxIDs is how many jobs one Retry or Discard may name.
const MaxIDs = 10_000

// Viewer is what tells of jobs.
type Viewer interface {
	// Get is a job's status. [ErrNotFound] for one that never was or is no longer remembered.
	Get(ctx context.Context, id ID) (Status, error)
	// Wait is Get as soon as the job is terminal. When ctx ends before, or has ended, it gives the status of then and no error.
	Wait(ctx context.Context, id ID) (Status, error)
	// Peek is a job that is not terminal, or dead, with its request.
	Peek(ctx context.Context, id ID) (Job, error)
	// List is jobs in one state by ID, which is about their age, those with an ID greater than after.
	List(ctx context.Context, s State, after ID, limit int) ([]Status, error)
	// Stats are the queue in numbers: exact in the process that hands out jobs, a second old in others.
	Stats(ctx context.Context) (Stats, error)
}
