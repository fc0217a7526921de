// Package api is semper's HTTP+JSON interface: the contract ([Service]), the values that cross it,
// the server that offers a Service under /v1/, and the Go client that is a Service again.
//
// One route per method. Answers are JSON values; errors are {"error": {code, message, hint, op}}
// with a status chosen by the code. Methods that go on for a while answer with JSON lines, or with
// server-sent events where the request asks for text/event-stream.
//
// A connection over the unix socket is authorised by the socket's mode, one over TCP by a bearer
// token or the session cookie that /login gives for that token.
//
// While the control process is replaced its listener stays open, so a call waits or breaks off. The
// client repeats what is safe to repeat for a few seconds; what may have been done is never repeated.
package api
