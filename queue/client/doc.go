// Package client is for Go programs that semper runs and that do jobs, or give some to other services of their app.
//
// A worker asks for jobs over the socket that SEMPER_QUEUE names, does them, and says how they ended:
//
//	err := client.Work(ctx, client.New(), client.Options{Concurrency: 8}, func(ctx context.Context, j *client.Job) (client.Result, error) {
//		return client.Result{}, send(ctx, j.Body)
//	})
//
// [Work] keeps the lease of each job while its handler runs, and returns when ctx has ended and every handler has: a worker that is told
// to end by SIGTERM finishes what it has. A worker whose release is replaced is given nothing more, which is no error: it goes on
// asking until it is told to end, for its release may be turned back to.
//
// # What it keeps
//
//   - A job is told as done after its handler has returned without an error, and once. Where the answer to that was lost, the lease
//     ends and the job is done again: a handler that must not act twice remembers [Job.ID].
//   - The context of a handler ends when the lease is lost: somebody else may have the job then.
//   - It has no goroutine but those of a call of [Work], which waits for them.
//
// It imports the standard library only, and speaks the API that the guide shows with curl.
package client
