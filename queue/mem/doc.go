// Package mem is a [queue.Engine] in memory, for tests of what uses queues and as the model that other engines are held
// against. It works in a testing/synctest bubble and has no goroutine: whoever calls or waits does what time has made
// due.
//
// [Engine.Restart] is what a crash is to an engine that keeps its jobs: calls that wait end, leases and jobs stay.
// What it will not do: outlive the process.
package mem
