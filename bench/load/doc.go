// Package load is a closed-loop generator of HTTP and WebSocket traffic that accounts for every
// request it sends.
//
// The question it answers is not "how fast" but "was anything lost". So it speaks HTTP/1.1 on plain
// connections of its own: a client that retries behind the caller's back, as net/http does on a
// connection that was closed while idle, would hide exactly what is to be seen. Every request ends
// in one [Outcome]; only [OK] is good. A response must be whole, and of one release: the release
// named by the X-Semper-Release header, by the first and by the last line of the body are the same.
//
// With [Generator.Deploying] and [Generator.Cutover] the caller tells which release production
// should be on. A response from another release to a request sent after the acknowledged cutover
// is [OldRelease]: the check is made on the time the request was sent, also for requests that were
// answered before the caller knew when the cutover had been acknowledged.
//
// What it will not do: pipelining, HTTP/2, TLS, open-loop arrival rates.
package load
