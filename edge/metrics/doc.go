// Package metrics counts what the edge does, per release and route, and shows it to Prometheus and to people.
//
// # Cost
//
// Counting is on the path of every request, so that path has no map, no lock and no allocation. Whoever compiles a snapshot
// of the routes resolves a [Key] to a [Series] once, and a loop takes its own [Counters] of it by the loop's number. What is
// left for a request is about a dozen atomic adds to cache lines that no other loop writes. They are summed when somebody
// looks. Histograms for a method and status that were not seen before are made when they are, and stay.
//
// # Cardinality
//
// Label values come from configuration alone: app, release, arm, pool, route. Of what clients and apps choose, methods are
// the nine that OpenTelemetry knows and _OTHER, and statuses are those that IANA has registered; any other is counted as
// the first of its class, as RFC 9110, 15 has clients treat it. Above [Options].MaxSeries keys share one series that says so.
//
// # Names
//
// Durations and sizes of requests have OpenTelemetry's names, units and boundaries (semantic conventions 1.44):
// http_server_… is what the client saw, http_client_… each try at an instance. What they have no name for is semper_edge_….
// The text is written here, without the client library: what it would do is to keep values in a registry of its own, and
// the values are the part that matters here. The tests read it with the official parser and compare it byte for byte with
// the official encoder.
//
// # Two ways to look
//
// [Registry.Handler] serves Prometheus text, or OpenMetrics with exemplars to who asks for it. [Registry.Snapshot] is the
// same as a value; a [Report] is computed from several of them, and is what `semper traffic show` draws.
package metrics
