// Package node puts semper's parts together: it is the only place where engines and adapters meet.
//
// Each part of a machine is a process of the same binary, and each has one function here: [Keeper],
// [Store], [Control], [Queue] and [Edge]. A function opens what its part needs, gives every engine the
// adapters it asked for by interface, tells the keeper that it is ready, and returns when its
// context ends and everything it started has ended.
//
// An edge and a control process are supervision trees ([semper/supervise]): a panic in one of their parts restarts that
// part. A tree that cannot repair itself gives up, its function returns an error, and the keeper starts the process
// anew. Trees and crashes are told to the keeper, see [semper/actor/observer].
//
// The files below a data directory are named here and nowhere else, except by the keeper, which
// makes them.
package node
