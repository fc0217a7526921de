// Package proc runs the processes of a measurement: each on one core, with a log of its own, and ended and waited for by its id. It tells
// from /proc what a process and all that it started have used, which is what the process cannot be wrong about.
package proc
