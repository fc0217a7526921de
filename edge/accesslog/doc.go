// Package accesslog writes one line per request, beside the requests' path and never in it.
//
// # Way of a record
//
// A request ends; its loop copies what the line will say into a [Ring] of its own: a fixed record, and the strings, bounded,
// into the ring's bytes. That is a few copies and one atomic store, without allocation, lock or system call. Whoever has
// the [Log] gives [Log.Serve] a goroutine, which turns the records of all rings into lines and writes them in large pieces. It
// sleeps while nothing is logged, gathers for [Options].Flush otherwise, and is hurried when a ring is half full. When a ring is full, because the disk or
// the reader of a pipe does not keep up, the record is dropped and counted: a request never waits for its log.
//
// Loops have a Ring each, which has one producer. Goroutines have a [Shared], which is rings with a mutex each; the mutex is
// held for the copy alone, and who finds one taken takes the next.
//
// # Where it goes
//
// [Log.To] sends what is logged later somewhere else, in another form if need be; the rings stay, and no record is lost over it.
// A record over which the writer panics is counted as lost, and the next Serve goes on behind it.
//
// # How large it gets
//
// With [Options].MaxSize the log begins its file anew when that is full, and keeps a few old ones. Processes that write to
// one path, as two edges do while one replaces the other, agree by a lock on the file. Lines of different loops and of
// different processes stand in the order in which they were written, which is not quite that of their times.
//
// # What a line may say
//
// Method, target, host, referrer and user agent are what strangers choose. In a line they cannot end it, or a string within
// it, or reach the terminal that shows it: JSON has control characters, quotes, what is no UTF-8 and what Unicode does not
// call printable (which includes the marks that reverse text) escaped; the combined format has everything escaped that is not
// printable ASCII. So a line is always one request, and every line of JSON is valid.
package accesslog
