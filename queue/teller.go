package queue

import "context"

// An End is that of a job with a Callback, which somebody is still to be told of.
type End struct {
	ID   ID
	To   string // the job's Callback
	Mark int64  // of this end: a job that is retried and ends again has another
}

// Teller is a [Queue] that remembers whose end is to be told: from the commit that ends a job until somebody says that it
// was told, whatever is killed in between. Not every engine has it. Its methods are as safe as those of a Queue.
type Teller interface {
	// Untold are ends of jobs with an ID greater than after, by ID.
	Untold(ctx context.Context, after ID, limit int) ([]End, error)
	// Told forgets ends. Those that are forgotten already, or are no longer the last of their job, are passed over.
	Told(ctx context.Context, ends ...End) error
}
