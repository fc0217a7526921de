// Package inbox has the names by which edges and the queue process of a machine know what they hand to each other.
//
// A route whose requests are done later leads to [Pool]; control says so in the route table, each edge has its machine's queue
// process as the one backend of that pool, and [Field] tells that whose requests they are. What is done goes back to an edge, over
// a socket of the edge's own, where the same field says whose instances are to get it.
//
// It does nothing: who routes, stores and sends is elsewhere.
package inbox

import "semper"

// Pool is the pool of routes whose requests are done later.
const Pool semper.PoolKey = "semper/queue"

// Field names services in a request, by the keys of their pools, with commas. An edge sets it in what it hands over, whatever a
// client has said, and believes it of who asks over the edge's own socket only.
const Field = "Semper-Queue"

// Path is what the paths of accepted requests begin with; a slash and a job's id follow.
const Path = "/.well-known/semper/requests"
