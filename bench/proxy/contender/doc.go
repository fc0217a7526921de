// Package contender is the proxies that are compared: how each is found, configured for the same work, started and checked.
//
// The same work is: HTTP/1.1 and HTTP/2 in, HTTP/1.1 out over kept connections to one instance, WebSockets, X-Forwarded-For, -Proto and -Host
// set by the proxy, bodies streamed and not spooled, an access log for all or for none. Each is set up as somebody would who wants it
// fast and knows it; what that means is in the configuration texts, beside the line. Whoever finds a line that makes a contender faster at
// the same work has found a fault here.
package contender
