// Package generate makes closed-loop work for a proxy: requests by wrk and h2load, new TLS connections, large bodies, and connections that
// do nothing. Each function runs until its work is done and returns how much it was; what the proxy used for it is for the caller to
// read. For latencies at a rate there is openloop.
package generate
