// Package autoscaling performs what package autoscale decides: once a second it puts together what edges and queues tell of each
// service that is scaled by itself, and has the model change the numbers that follow.
//
// # Invariants
//
//   - It works while its process leads, and changes nothing but by a transaction of that term (L7). What the next term has not seen it
//     does not go by: the times after which something is taken away begin anew.
//   - What it does not know it says so: an edge or a queue that does not answer is a signal that is missing, not a load of 0.
//   - While some service sleeps it waits for edges to say that somebody waits, and looks at once when they do.
//   - It stores nothing of its own: what somebody has set by hand stands with the environment.
//
// # What it does not do
//
// It starts and stops nothing: package rollout says which instances come and go, and the model has that done.
package autoscaling
