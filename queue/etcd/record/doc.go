// Package record is how the embedded queue writes things down: the records of jobs and of what becomes of them, blocks of
// many jobs, pages of what deciding needs of them, and what one process tells another of a change.
//
// Every record begins with a number of its layout, and a newer one is refused, never guessed at. What is read may be
// anything: damage is an error that names the key, and nothing here panics on it. Checksums are the store's.
//
// It knows neither the store nor when a record is written; queue/etcd does.
package record
