// Package spill keeps the bodies that are too large for an engine's records, as files of one directory.
//
// A file is named by its owner and by the digest of its bytes, which is checked at every read; so two jobs with the same
// body have two files, and removing one's never takes the other's. A body is written whole, synced, renamed into place,
// and its directory synced, before the record that names it is committed: a crash between leaves a file that nobody
// names, which [Dir.Sweep] removes.
//
// What it will not do: copy files to other machines. In a fleet a job with a large body runs where it was accepted.
package spill
