// Package accept is the HTTP face of queues: it takes requests that are to be done later, and tells what became of them.
//
// # The problem
//
// A client that has been told 202 must never have to ask whether it was heard. So a request is answered only after its queue
// has it on disk, and everything that keeps it from that is said at once, with a status that tells whether to come back.
//
// # The protocol
//
// An edge hands over requests with the field Semper-Queue, which it sets itself: the services that the request may be about.
//
//	any method, any path      202 Accepted, Location: /.well-known/semper/requests/ID
//	GET, HEAD of a Location   202 and the status as JSON while the job is not over, then the response of the instance
//
// A GET of a Location that accepts text/event-stream gets each state of the job as a server-sent event, from the beginning or
// from what Last-Event-ID says was seen, and the end of the stream after the last. The events follow from the job's status
// alone, so it does not matter which process tells them.
//
// With "Prefer: wait=N" (RFC 7240) either waits up to N seconds, a minute at most, for the job's end, and answers with the
// response if there is one by then. An Idempotency-Key names a request: the same one again gets the Location of the first
// (Semper-Duplicate: true), another request under the key 422. A queue that is full answers 429, a body over the bound 413, a
// store that is away 503, each as application/problem+json (RFC 9457), and the first and the last with Retry-After.
//
// A job that no attempt completed answers 502, one that was taken out or whose time ended 410.
//
// # What it will not do
//
// It looks into no body, decides nothing about order or retries, and knows no engine but by package queue's contract. Who may
// ask is not decided here: a job's ID has 80 random bits and is told to nobody but its client.
package accept
