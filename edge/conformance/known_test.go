package conformance_test

import "semper/edge/conformance"

// An exception is a row that this edge does not pass yet.
type exception struct {
	why       string
	over      []conformance.Transport
	sometimes bool // it depends on the machine's speed
}

var (
	h1   = []conformance.Transport{conformance.Plain, conformance.TLS}
	h2   = []conformance.Transport{conformance.H2}
	both = conformance.Transports
)

// known are all exceptions. One that passes fails the test: the list can only shrink.
var known = map[int]exception{
	46: {why: "a method with a space comes as far as the transport, which refuses it: 503", over: h2},
	48: {why: "net/url takes stray bytes and the edge encodes them", over: h2},
	70: {why: "the edge does not compare SNI and Host", over: []conformance.Transport{conformance.TLS, conformance.H2}},
	77: {why: "x/net takes space around a value", over: h2},
	78: {why: "x/net does not count where HEADERS end the stream", over: h2},
	79: {why: "net/url takes a space in a path and the edge encodes it", over: h2},
	81: {why: "x/net caps what runs at once, and not how many are begun", over: h2, sometimes: true},
	83: {why: "x/net bounds its queue of answers and nothing else", over: h2},
}
