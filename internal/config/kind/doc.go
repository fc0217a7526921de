// Package kind has the kinds of values that several parts of semper.yaml have in common. It reads nothing.
package kind

// Size is a number of bytes, written "64MiB".
type Size int64
