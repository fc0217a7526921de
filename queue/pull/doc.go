// Package pull hands jobs to workers that ask for them, over HTTP on a unix socket of the machine.
//
// # The problem
//
// A worker that asks chooses for itself when it takes a job, so that a change of release cannot be made by sending it none. Old
// and new processes ask side by side, and which of them may have the next job has to be decided where it is given away: by the
// release that the asker is of, at the instant of the claim, and so that "the old ones take no more" is a fact and not a hope.
//
// # How it is solved
//
// A [Desk] stands before one queue and goes by a [Plan], which is what one route table says of who may take jobs. A claim is made
// under a plan. [Desk.Apply] puts another in its place and returns when no claim of the one before is under way any more: what was
// handed out is counted as held by then, and nobody else is handed anything. That is what an edge's acknowledgement of an epoch means
// for requests, so the queue process acknowledges epochs as an edge does, and what is held is what is in flight.
//
// While a release is on trial each job is drawn for one of the sides, by the shares that the table declares, before it is
// known which job it will be. A side of which nobody asks leaves its job to the stable one: that is counted as missed.
// So no side picks its jobs, and the judge may compare them as it compares requests.
//
// # Invariants
//
//   - An instance that the plan does not name as ready gets no job (L3), and one that is told to take no more gets none from the
//     moment Apply has returned.
//   - A job that was handed out is held, and counted so, until its attempt is over at the queue: completed, failed, released or
//     its lease ended there. Whether a lease has ended is asked of the queue, not concluded from a clock here.
//   - What is held at the drain deadline is handed back: the attempt does not count.
//
// # What it will not do
//
// It identifies nobody: who asks is told by the caller of [New], which knows the kernel's word for it. It keeps nothing on
// disk: after a restart what is held is read from the queue.
package pull
