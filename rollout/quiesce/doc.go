// Package quiesce is how a worker with a broker of its own is told to take no more jobs, and how it is seen that it has none left.
//
// semper cannot stop such a worker from taking jobs: its broker hands them out. So the release says how the worker is told (a signal,
// a request, a command), and how it is looked at (busy, or drained). The values here are what a release keeps of that; who
// tells and looks is control, and package rollout decides when.
//
// A worker may be told more than once, by a control process that does not know what the one before did: what it is told has
// to bear that.
package quiesce
