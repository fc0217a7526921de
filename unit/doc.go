// Package unit groups what a supervisor can start, watch and stop, one package per kind of unit:
//
//   - process: an operating system process, with everything it starts
//
// Every kind ends with one [semper.Reason], keeps an identity that outlives whoever started it, and
// counts as ended only when nothing of it is left running. The package itself holds no code.
package unit
