package queue

import (
	"errors"
	"fmt"
	"time"

	"semper"
)

// Sentinels, for errors.Is.
var (
	ErrNotFound  = errors.New("no such job")
	ErrKeyReused = errors.New("idempotency key was used for another request") // 422
	ErrFull      = errors.New("queue is full")                                // 429
	ErrTooLarge  = errors.New("body is too large")                            // 413
	ErrLeaseLost = errors.New("lease is lost")                                // 409
	ErrState     = errors.New("job is in another state")                      // 409
	ErrClosed    = errors.New("queue is closed")
)

// Full is [ErrFull] with the time after which there may be room again.
type Full struct {
	Jobs       int
	Bytes      int64
	RetryAfter time.Duration
}

func (e *Full) Error() string {
	return fmt.Sprintf("queue is full: %d jobs of %d bytes wait", e.Jobs, e.Bytes)
}

// Is makes it an [ErrFull].
func (e *Full) Is(target error) bool { return target == ErrFull }

func invalid(message, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: message, Hint: hint}
}

// Refused is the error of a full queue.
func Refused(jobs int, bytes int64, after time.Duration) error {
	return &semper.Error{Code: semper.Unavailable, Op: "enqueue", Err: &Full{Jobs: jobs, Bytes: bytes, RetryAfter: after},
		Hint: "come back later; workers are too few or too slow, or the queue is paused: semper queue show"}
}

// Unknown is the error for a job that is not there.
func Unknown(id ID) error {
	return &semper.Error{Code: semper.NotFound, Op: "queue", Message: id.String(), Err: ErrNotFound,
		Hint: "it never was, or its result was kept for its time and is gone"}
}

// Reused is the error for an idempotency key that stands for another request.
func Reused(id ID) error {
	return &semper.Error{Code: semper.Invalid, Op: "enqueue", Message: "for job " + id.String(), Err: ErrKeyReused,
		Hint: "a new request needs a new key; the same request has to be sent with the same bytes"}
}

// Lost is the error for a lease that no longer holds.
func Lost(l Lease) error {
	return &semper.Error{Code: semper.Conflict, Op: "queue", Message: fmt.Sprintf("attempt %d of %s", l.Attempt, l.ID), Err: ErrLeaseLost,
		Hint: "it ended, and the job was or will be given to another: nothing was changed; extend the lease while working"}
}

// InState is the error for a job that is in a state in which this cannot be done to it.
func InState(id ID, s State, wanted string) error {
	return &semper.Error{Code: semper.Conflict, Op: "queue", Message: fmt.Sprintf("%s is %s, not %s", id, s, wanted), Err: ErrState,
		Hint: "nothing was changed; semper queue show QUEUE " + id.String() + " tells its life"}
}

// TooMany is the error for more ids than [MaxIDs].
func TooMany(n int) error {
	return invalid(fmt.Sprintf("%d jobs at once are more than %d", n, MaxIDs), "name them in parts")
}

// Closed is the error for a call after Close.
func Closed() error {
	return &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "this process is stopping", Err: ErrClosed}
}
