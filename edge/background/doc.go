// Package background is everything of an edge that works beside the requests, as a supervision tree:
//
//	edge-1/background (one for one)
//	├─ tend       gives up backends, cuts what is past its instant; always there
//	├─ seeing
//	│  ├─ log     writes the access log
//	│  ├─ traffic looks every second at what was counted, for those who ask about the last minute
//	│  ├─ strain  looks how much memory is left
//	│  └─ shadow  compares answers to copies of requests
//	├─ lines      one child for each pool that somebody waits for: package lane
//	├─ backends   one child for each process that is watched, and for each backend that is probed
//	└─ drain      the one drain, while it lasts
//
// A fault in one is repaired by starting it again: each begins by looking at the state of the edge, which lives
// elsewhere, and locks are given back by defer. So none needs another to be restarted with it.
//
// Seeing, lines and backends persist: what breaks again and again is tied to one disk, pool or instance, and is tried again
// after at most a second while all others go on. Tend is about the whole edge. When it fails six times within ten seconds,
// which its back-off makes the first second, the state itself is broken: the tree ends, and who started the edge has to
// replace it. The drain is temporary: however it ends, it has said so (Edge.Done), and whoever asked for it closes the
// edge.
//
// Nothing is ever killed, because Close promises that everything has ended.
//
// What the parts do is not its business: they are given to it.
package background
