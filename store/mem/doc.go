// Package mem is a [semper.Store] in memory: for the simulator and for tests, and for nothing that
// must survive its process.
//
// It waits on channels only and starts no goroutine but one per Watch and one per leadership, each
// ending with its context or with Close. So a store made inside a testing/synctest bubble works there;
// one made outside must not be used inside. It holds its whole history until [Store.Compact].
package mem
