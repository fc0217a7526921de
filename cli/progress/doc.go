// Package progress shows what goes on while a command waits for a rollout: a tree drawn in place on a
// terminal, a line per change in a pipe, JSON lines for a program, or nothing.
package progress
