// Package journal keeps one record per process the keeper answers for, so that the next keeper, or
// the same one after it has replaced itself, knows what runs and what should.
//
// A record is a file, replaced atomically. What a record must survive decides how it is written: the
// intent to run something survives power loss (fsync), an identity only the keeper's death, because
// the process it names does not survive power loss either. All writes go through one goroutine, so
// they reach the disk in the order they were asked for and nobody who starts a process waits for one.
package journal
