// Package task runs functions in processes and gives their results: Elixir's Task and Task.Supervisor, typed.
//
// # Problem
//
// A goroutine is started in a word, and then belongs to nobody. Its panic ends the program. Its error needs a channel,
// its end a WaitGroup, its cancellation a context, its number a semaphore; nobody can see that it hangs, and nobody is
// told when it has died. A [Task] is one function in a process of package actor. It has what a process has: a PID, links
// and monitors, a place in a tree, a crash report with the stack and with those who started it, a status. And it has
// one thing more, a result of a type, which its owner gets once.
//
//	page := task.Async(ctx, func(ctx context.Context) (Page, error) { return fetch(ctx, url) })
//	...
//	p, err := page.Await(ctx)
//
// # Whose it is
//
// The owner is who calls Async. When that is a process (ctx is its Self, or made from it), the two are linked: they
// stand or fall together, and only the owner may ask for the result. [Nolink] is for work that may fail without its
// owner. When it is a plain goroutine, a crash of the task is an error of Await. In either case the end of ctx asks the
// task to end, so that work is not done for a request that is over.
//
// A process should not wait in a callback for long: nothing else of it is done meanwhile. [Task.Tell] has the result
// come as an Info instead.
//
// # Results
//
//	Await     waits; when ctx ends first, the result is given up and the task asked to end
//	Yield     waits; when ctx ends first, nothing has happened
//	Shutdown  asks the task to end and waits; kills it when ctx ends first
//	Kill      ends it at once
//	Ignore    gives the result up and lets the task go on
//	Tell      has it come as an Info
//
// Each gives the result if there is one, and then it is taken. An error that the function returns is its result, and
// comes back as it is. A panic, a Goexit and an actor.Stop are not results: they end the process for that reason, and the
// error is an *actor.ExitError with it, a panic with its value and stack (*actor.PanicError) inside.
//
// [AwaitMany] and [YieldMany] wait for many with one deadline; [Stream] runs a function over a sequence, so many at a
// time, in a range loop. [Start] is for work of which nobody awaits anything: its error is a crash, with a report.
//
// A [Supervisor] owns tasks: it counts and bounds them, lists them, says who blocks its end, and ends them when it ends.
// Tasks whose owner may be gone before them belong under one.
//
// # Asking for the end
//
// Nothing can stop a goroutine from outside. A task is asked to end by its context, and a function that waits for
// anything should wait for that too. It may tidy up, and return what it has, or ctx.Err() to say that it has nothing. A
// function that does not look is waited for as long as whoever asked had said, then killed: the process ends, its owner
// and its supervisor go on, and the goroutine is abandoned: listed by its supervisor (Abandoned), seen in the Status of
// its process, and gone when Gone of its PID is closed. What it returns then vanishes. What must really die on command
// is to run as an OS process.
//
// # Invariants
//
//   - A result is given once, to one of all who ask, or given up; never both, and never later.
//   - When Await has given a result, the process has ended, and all who are linked to it or watch it have been told.
//   - An end that the owner asked for is no news to it: the link is cut first.
//   - A result that comes in the same moment as the end of the wait is given.
//   - When the loop over a Stream has ended, none of its tasks runs, except those that were killed.
//   - Every goroutine is that of a process.
//
// # Deviations from Elixir
//
//   - An error is a value of Go: returned, it is a result and ends nobody. Only a panic and what is like it is a crash.
//   - Await that runs out of time ends the caller in Elixir, and the task by its link. Here it is an error, and the task,
//     unlinked, is asked to end. There is no default of 5 seconds: the context says how long.
//   - The end of a process ends its linked tasks also when it is normal: nobody could await them any more. Those under a
//     Supervisor are left alone by a normal end, as in Elixir. An exit signal takes effect when the function returns.
//   - A plain goroutine has no identity in Go. Who has the Task of one is its owner.
//   - An unlinked task sends nothing by itself. Tell asks for the one message, Outcome, in place of the two that are a
//     reply or a DOWN; there is nothing to flush.
//   - After a failure AwaitMany asks those that are left to end. In Elixir they end by their links, with the caller.
//   - Stream has no zip_input_on_exit: its errors have the input always. The loop gets an ended stream as a last error,
//     also where Elixir would exit the caller. Its tasks, when it is left early, are asked first, and killed after Grace.
//   - A restart of a supervised task with a result is refused, where Elixir advises against it.
//   - Supervised tasks have the values of the context of their caller, for tracing, and not those of the supervisor's.
//   - Ancestors of a supervised task in a crash report are those of its supervisor, without that itself, which is no
//     process of package actor: its name is in the Path. Callers are the owner and those on whose behalf it works.
//
// # What it will not do
//
// A task takes no messages: what does is a Server. It cannot trap exits. It is not a pool: a process costs little enough
// to be started for each item, and what must be bounded is bounded by MaxChildren, MaxConcurrency, or a mailbox. It does
// not retry: Start under a Supervisor restarts, with the limits of one. It does not move a function to another machine.
package task
