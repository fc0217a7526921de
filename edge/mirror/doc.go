// Package mirror sends copies of live requests to a candidate, and compares its answers with those that clients got.
//
// # Problem
//
// A candidate should see real requests before it has real clients. Copying them is only worth it if no client ever notices, whatever
// the candidate does: hang, reset, answer a gigabyte. And it is only worth something if what differs is told from what differs anyway.
//
// # A copy's way
//
//	request ─▶ sampled? ─▶ fit? ─▶ room? ─▶ client's answer ──┐ a bounded copy of its bytes
//	              │           │        ├──▶ candidate's ────────┼─▶ queue ─▶ one worker: decode, compare, count
//	              no       skipped  dropped └─▶ current release's, again ─┘
//
// The request goes its own way. Beside it goes the copy to the candidate, and a second one to the current release, in a random order: fresh
// instances of it where there are some, else those that serve. What the second one shows is noise. The driver that carries the request
// makes them too, as subrequests after what it has in hand, where it can; else a goroutine for each does. Of the
// client's answer the bytes are kept as they pass; nothing ever waits for a copy, and all that is done in the path of a request is in
// memory and bounded. When all are there, one worker compares, beside everything else.
//
// A copy carries Semper-Shadow: 1, whatever else the instance would have got, and a span of its own in traceparent. A field of that name
// is never taken from a client.
//
// # What is copied
//
// Safe methods (RFC 9110, 9.2.1). Where a route says so the others too, with content that is small enough to be kept. Not: changes of
// protocol, parts (Range), conditional requests, whose answers depend on tags that a release makes itself, and event streams.
//
// # Bounds
//
// Copies in flight, bytes kept, bytes of one body, time of one copy, pairs that wait for the worker, places that differ. What is beyond one
// of them is dropped at once and counted by reason, so that each sampled request is in exactly one column:
//
//	sampled = skipped + dropped + pairs + still under way
//
// An answer of the candidate that is too large, too late or broken off is no reason to drop the pair: it is a difference.
//
// # Who owns what
//
// A [Copy] belongs to the goroutine of its request until End; each part of it to whoever fills it, and all of it to the worker when the
// last part is there. [Mirrors] owns the goroutines of copies: Close ends and waits for them. A driver ends its subrequests with itself, which has to
// be before Close. An instance counts a copy in flight like
// any request, so that whoever drains it waits for the copy, or cuts it.
//
// # What it does not do
//
// It has no opinion: it counts. Copies are in no ledger and no arm's counts. It does not keep what it compared but for a few masked
// examples, and never repeats a copy.
package mirror
