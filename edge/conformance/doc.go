// Package conformance is the proof from outside: 85 bad inputs with the answers that are right, for any HTTP proxy.
//
// # Problem
//
// What goes wrong between a proxy and the servers behind it goes wrong on the wire. Two parsers see one stream of bytes
// and disagree on where a message ends, whose field a field is, which path a path is. No test from inside shows that:
// the proxy's own parser cannot tell what its next hop will read. So each case here looks from both sides at once. It
// sends bytes, sees what the client gets, and sees what reaches a [Recorder] in the place of an instance.
//
// # Rows
//
// [Rows] are the table of edge.md, 3.3, as data: a [Row] has cases, a [Case] has an input, a [Reply] for the recorder and
// the outcomes that are right. Most inputs have a good request, the probe, right behind them. Where an input must be
// refused, the connection must end and the probe must be neither answered nor forwarded; where it may be served, the
// probe must be served as itself. So every case tests for smuggling as well as for its own fault.
//
// An input that must be refused may leave nothing at the recorder, or if its fault shows in its body only, no more than a
// request that is broken off. What else reaches the recorder must be well-formed by the judgement of package wire, which
// is strict to the letter and shares no code with what it judges. Behind each case a fence, a good request over another
// connection, must get its own answer: the proxy is alive and no connection to the recorder is poisoned.
//
// # Use
//
// [Check] runs one row over one [Transport] against a [Target], which is nothing but addresses, two host names, and a
// recorder to which the proxy was told to route. The command edgecheck does so from a shell, for any proxy. What a target
// does not have (a limit for bodies, short deadlines, a listener for the PROXY protocol) skips its cases and says so.
//
// # What it does not do
//
// It never waits a fixed time: a wait is for something to happen, and [Target].Patience bounds it. It judges order, ends
// and bytes, never milliseconds. It does not measure, and it does not look for faults by chance: that is for fuzzing and
// for package traffic.
package conformance
