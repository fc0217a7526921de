// Package process runs an operating system process as a unit.
package process
