// Package node puts semper's parts together: it is the only place where engines and adapters meet.
//
// Each part of a machine is a process of the same binary, and each has one function here: [Keeper],
// [Store], [Control] and [Edge]. A function opens what its part needs, gives every engine the
// adapters it asked for by interface, tells the keeper that it is ready, and returns when its
// context ends and everything it started has ended.
//
// The files below a data directory are named here and nowhere else, except by the keeper, which
// makes them.
package node
