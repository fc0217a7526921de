// Package faults has an edge as a process of its own, as `semper edge run` makes it, and does to it, to its clients and to its
// instances what goes wrong in the world. After each fault the edge has as many descriptors, goroutines and bytes as before, its
// ledger adds up, nothing is in flight, and it answers. There is nothing here but tests:
//
//	go test ./edge/faults                                    each fault, small
//	go test ./edge/faults -count=1 -timeout 20m -args -long  as many connections as the limit of descriptors lets, every byte of every abort
package faults
