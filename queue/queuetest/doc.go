// Package queuetest is the contract of package queue as a test suite, which every engine passes.
//
// Run is given a way to open an engine over storage of its own, and, where the engine keeps its jobs, a way to end it as
// a crash would and open another over what it left. Tests assert order, counts and states, never how long something
// took; those that wait for leases and back-off are quick in a testing/synctest bubble and take seconds outside.
package queuetest
