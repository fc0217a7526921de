// Package agent gives state a process of package actor of its own, as Elixir's Agent does: a value that many share and
// nobody else touches, without a message type to be written for it.
//
//	hits, err := agent.Start(ctx, func() map[string]int { return map[string]int{} }, actor.Options{})
//	err = agent.Update(ctx, hits, func(m map[string]int) map[string]int { m["/"]++; return m })
//	n, err := agent.Get(ctx, hits, func(m map[string]int) int { return m["/"] })
//
// # Inside and outside
//
// The functions given to Get, Update, GetAndUpdate and Cast run inside the agent, one at a time, in the order in which
// they came. What is slow in them makes everybody else wait: take what is needed out, and work on it outside. What they
// return must not share memory that a later function changes: return a copy of a map or of a slice, not the map itself.
// They must not call the agent they run in, which would wait for itself until its ctx ends.
//
// # Agent, Server or mutex
//
// A mutex guards a value; an agent also owns it. An agent can be supervised, so that a function that panics costs the
// state and not the program; it can have a name, be watched, linked, suspended and looked into, and who waits for it
// waits no longer than a ctx. When all of that is nothing to you, take a mutex, which is faster. When what
// is done with the state belongs to the state, write an actor.Server: an agent takes any function from anybody.
//
// # Invariants
//
//   - A function runs once or never, and no two run at once.
//   - Get, Update and GetAndUpdate return when the function has run, when ctx ends, or when the agent ends. After the
//     end of ctx the function of an Update still runs, as a late call does; that of a Get does not.
//   - A panic in a function ends the agent: its caller and all who wait get an *actor.ExitError, with the panic and its
//     stack in it. It is not the caller's panic.
//
// # Deviations from Elixir
//
//   - The time a caller waits is that of its ctx, where Elixir has five seconds; the caller gets an error and does not
//     end. With context.Background() it waits as long as it takes.
//   - Functions are typed and there is no form with a module, a name and arguments: a closure is both. There is no
//     distribution.
//   - start and start_link are one: Options.Link.
//   - A Get whose caller has gone is left out, since nobody would see what it returns. Elixir runs it.
//   - An agent is not handed over to a successor in another program (actor.Exporter): its state is of any type, and
//     its messages are functions.
//   - sys:change_code, with a function for the state, is [Replace].
package agent
