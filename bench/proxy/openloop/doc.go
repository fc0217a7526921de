// Package openloop sends HTTP/1.1 requests on a timetable that does not care how the server does, and measures each answer from the
// instant its request was due.
//
// A closed loop sends the next request when the last was answered. So while a server stalls, hardly anybody asks, and the stall shows in
// as many latencies as there are connections: the omission is coordinated with the fault. Users do not coordinate. Here a request that
// was due during a stall has waited from when it was due, whether or not a connection was free to carry it.
//
// The timetable has independent gaps of exponential length, as many independent users make, from a seed: the same for everybody who is
// compared. One thread owns all connections and sleeps on a timer of the kernel, because timers of the Go runtime may be a
// millisecond late while it idles. How late this thread itself sent is measured and told: a figure below [Result.Lag] means nothing.
//
// What it will not do: TLS, pipelining, answers without Content-Length. Linux only.
package openloop
