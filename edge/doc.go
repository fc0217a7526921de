// Package edge is the data plane: it takes public traffic and gives each request to one ready instance
// of the one release that may serve it: of the arm that the request belongs to, while a table splits a pool.
//
// # Problem
//
// Production moves from release to release while requests are under way, instances die without notice,
// and the parts that decide may be away. Still no request may be lost that could have been served, none
// may be served by two releases, and whoever stops an instance must know, not hope, that nobody uses it.
//
// # One snapshot
//
// A [semper.Table] is compiled into a snapshot, and one atomic pointer says which is current. So is a [Config], which an
// edge that runs alone has instead. A request takes the snapshot, picks a backend, counts itself in flight to it, and looks
// at the pointer again: if it has changed meanwhile, the request takes its count back and begins anew. This one protocol,
// which package epoch has with its proof, makes three things exact:
//
//   - Cutover. Once [Edge.Apply] or [Edge.Configure] has returned, no request whose head is read later reaches anything
//     that it leaves out.
//   - Drain. What [Edge.State] then reports in flight to a backend left out only falls; at zero it may
//     be stopped.
//   - Hold. Once a holding table is applied, nothing it holds starts until a table ends the hold.
//
// Counters live with the backend, not with the snapshot. A backend is an incarnation of an instance:
// restarted, it is another one, with connections of its own.
//
// # A request's way
//
//	match ─▶ rate limits ─▶ arm, cookie ─▶ hold ─▶ room ─▶ pick ─▶ claim ─▶ try ─▶ deliver
//	  │          429                        wait    wait      ▲                │
//	  └▶ redirect, respond, files                             └── once more ◀──┘
//
// One type decides, asking, whoever carries the request: a session for the drivers, or an exchange for net/http's
// requests: HTTP/2, upgrades, and what a rule wants that a driver does not do (Begin says Pass). A rule is found by host, path
// and whatever else it asks for; a table's routes are rules of host and path.
//
// A try that brings no answer is repeated, by the snapshot current then, where that is safe: anything, if not a byte of
// it was written to a connection; idempotent methods, if nothing of an answer has come and their body is still at
// hand (64 KiB are kept), within a budget, which is the pool's. A POST that was sent is never sent twice, whatever Idempotency-Key it carries.
//
// Where a rule hedges, an idempotent request without content has a second try at another backend while the first is under way,
// for whatever is slow: see package hedge. Each try has a claim of its own, by one snapshot, and the request one end.
//
// Where a table splits a pool, package arms says which arm a request belongs to, and counts there what becomes of it. An arm that
// has nobody for it, or whose instances have all been tried, leaves it to the stable pool: none fails for the sake of a split.
//
// # Death and return of a backend
//
// A backend is down when its process dies (a pidfd tells) or when nobody accepts at its address. It returns when its own
// probe passes, or when a table names another incarnation. So instances that their keeper restarts get traffic again even while
// nobody makes tables. Beside that there are two opinions, of a Config's pools: that of their probes, and that of what
// becomes of their requests. When too few are left by them they are ignored: see package balance.
//
// # Ends
//
// What is in flight to a release on its way out has a deadline per class. Requests and event streams are
// cut at theirs: an event stream ends, for its client comes back, and whatever else has begun breaks off, for nobody may take
// it for whole. WebSockets are ended before it, spread over up to three seconds: each with Close frames
// to both sides, 1012 to the client, in a moment in which no message is half sent or waits for an answer,
// as long as there is time to wait for such a moment. A release that returns to its pool drains no more.
//
// # Books
//
// Each request that is given to a release ends in exactly one column of its ledger, which lives in a
// mapped file and outlives the process: see package ledger.
//
// # Who owns what
//
// The goroutine of a request owns its exchange. Apply is one at a time (order); registry guards the maps
// of backends and lanes; a backend's, lane's, tunnel's and body's mu guard what is declared below them.
// They nest in the order order, registry, lane, ward, backend, tunnel, Edge.mu, and no lock is held over I/O
// but a body's over the read of it. Everything in the background belongs to the Edge; Close waits for it.
//
// # Faults of its own
//
// What works beside the requests is a supervision tree (see background.go): a panic in the loop that cuts, in that of a
// line, or in the watch on an instance costs nothing but its restart, and [Options].Observe is told. When the tree cannot
// repair itself it ends, and with it [Edge.Background]: whoever runs the edge replaces it then. A panic in a request's
// goroutine ends that request; a panic in a loop ends the process, which its keeper replaces on the same sockets.
//
// # What it does not do
//
// It has no opinion on whether a release is good, never makes a table, and asks nobody while it serves.
// It parses nothing itself: http1 does, and two drivers move the bytes (see driver.go). Instances are spoken to
// in HTTP/1.1 or HTTP/2. What a table says of its routes beside host and path is read by package words. A client that ends
// what it sends after its request is answered: it is gone when it resets its connection, and until then its request goes on.
// It keeps no cache.
package edge
