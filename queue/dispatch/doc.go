// Package dispatch does the jobs of a queue: it sends each as the HTTP request that it was, and the answer decides.
//
// # The problem
//
// Instances should get work as they get requests: balanced over those that are ready, counted while it is under way so that
// a drain waits for it, held while something changes underneath. All that is the edge's. So a dispatcher chooses no instance:
// it hands the request to the edge, by the transport it is given, under the name of the service.
//
// # What it keeps
//
//   - A job's attempt begins after its claim is durable, and ends at the queue by exactly one of Complete, Fail and Release.
//     Where that is not heard of, the lease ends it.
//   - At most Slots attempts are under way at a time. Several ask for jobs, each for its part of them, so that somebody waits
//     whenever one is accepted: an engine may hand it out in the same commit.
//   - An attempt gets as long as its lease holds, less a margin, and is then given up: nobody else works on it meanwhile.
//   - A lease is extended while there are signs of life, up to a bound: interim responses, bytes of the answer, and, where the
//     settings say so, that the instance has not closed the connection.
//   - An answer of the edge in an instance's stead (X-Semper-Error) is never taken for the instance's. One that says that
//     nobody could be asked is an attempt that failed, not a result.
//   - Run returns when every attempt has ended. Those that the end of its context cuts off are released: they do not count.
//
// # What it will not do
//
// No order, back-off or rate of its own: the queue's policy has them. It follows no redirects and holds no more than Slots
// requests and responses in memory.
package dispatch
