// Package trace reads and writes the W3C Trace Context: the fields traceparent and tracestate, which name the trace that a
// request belongs to. Everything works on bytes and allocates nothing.
//
// The edge is no participant of its own in a trace: it makes no spans. So a valid context is forwarded byte for byte, as it
// came, and the instance sees the client's span as its parent. Where there is none, or none that is valid, the edge starts a
// trace, so that every request has an id that log, exemplar and instance share.
//
// [Incoming] takes the field lines of one request as they are scanned and decides. The grammar is that of Level 1, the
// Recommendation (2021-11-23), as strict as its test suite at its strictest; of Level 2 (Candidate Recommendation, 2024) it
// has the random flag, which says that the trace id may be sampled by.
//
// A client can say of its own requests that they are sampled. Who counts on sampling to bound cost gives only the fields of
// trusted peers to Incoming.
package trace
