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
	1:  {why: "net/http drops the length and leaves the connection open", over: h1},
	17: {why: "net/textproto unfolds", over: h1},
	18: {why: "net/http drops the coding of HTTP/1.0 unseen; the edge only closes behind it", over: h1},
	20: {why: "net/http takes a space behind a chunk's size", over: h1},
	21: {why: "net/http waits for the 2^64-1 bytes of a chunk", over: h1},
	22: {why: "net/http takes a bare LF behind the last chunk", over: h1},
	23: {why: "net/http takes NUL in a chunk extension", over: h1},
	28: {why: "x/net takes the first of two host fields", over: h2},
	29: {why: "a Host with two ports leads nowhere instead of being refused", over: h1},
	34: {why: "net/textproto takes a bare LF", over: h1},
	42: {why: "net/textproto unfolds", over: h1},
	43: {why: "net/http takes HTTP/1.2", over: h1},
	46: {why: "a method with a space comes as far as the transport, which refuses it: 503", over: h2},
	47: {why: "net/http has one limit for target and fields, and answers 431", over: h1},
	48: {why: "net/url takes stray bytes and the edge encodes them", over: both},
	63: {why: "net/http takes an answer with both framings", over: both},
	64: {why: "net/http takes an answer of HTTP/3.0", over: both},
	70: {why: "the edge does not compare SNI and Host", over: []conformance.Transport{conformance.TLS, conformance.H2}},
	77: {why: "x/net takes space around a value", over: h2},
	78: {why: "x/net does not count where HEADERS end the stream", over: h2},
	79: {why: "net/url takes a space in a path and the edge encodes it", over: h2},
	80: {why: "x/net leaves host aside where there is an :authority", over: h2},
	81: {why: "x/net caps what runs at once, and not how many are begun", over: h2, sometimes: true},
	83: {why: "x/net bounds its queue of answers and nothing else", over: h2},
}
