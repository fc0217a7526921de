// Package callback tells the clients of jobs how they ended: by HTTP, signed, to the URL that a request named.
//
// # The problem
//
// A client that has been told 202 does not want to ask again and again. So it names a URL, and is told. That makes semper send
// requests to wherever a stranger says, from inside a network that the stranger may not enter; and whoever is told has to know
// that the message is semper's. And a process that is killed between the end of a job and the message must not lose it.
//
// # How it works
//
// A callback is a job itself, of a queue beside that of the service ([Of]): it is tried again with back-off, it dies with the
// reasons of all its attempts, people look at it, retry and discard it as any other. [Follow] makes these jobs from the ends
// that an engine remembers ([queue.Teller]), under an idempotency key: what is killed in between makes none twice. [Transport]
// sends them, as Standard Webhooks say, when package dispatch has it send.
//
// # Whom nobody makes us ask
//
// [Rules] know where no message goes: everything that is not a public address, unless the service says so. They are asked twice.
// What a URL shows by itself is refused when the request comes ([Rules.URL]); the address that is about to be connected to
// is looked at each time ([Rules.Address]), behind every lookup, so that no name leads elsewhere later. Redirects are not followed.
//
// # What it will not do
//
// It waits for nobody: who is to be told has no part in whether a job is done. It promises at least once, in no order; the
// message's id is the same each time.
package callback
