package accesslog

import (
	"net/netip"
	"time"

	"semper/edge/trace"
)

// An Entry is one request as its line tells it. Slices and strings are only read while it is written.
type Entry struct {
	Began    int64         // nanoseconds since 1970; a coarse clock does
	Took     time.Duration // from the first byte of the request to the last of the answer
	Upstream time.Duration // of it: at instances; 0 if it came to none
	Held     time.Duration // of it: waiting for its turn

	Client   netip.Addr // zero if the client has none, as on a Unix socket
	Method   []byte     // empty if the request could not be read
	Target   []byte     // as it came
	Host     []byte
	Protocol Protocol
	TLS      bool

	Status        int   // of the final answer; 0 if there was none
	RequestBytes  int64 // content, without framing
	ResponseBytes int64 // the same
	Tries         int   // at instances
	Hedge         Hedge // whether two of them were at the same time

	Referer, UserAgent []byte
	ID                 []byte // of the request, as the instance got it
	Trace              trace.ID
	Span               trace.SpanID
	TraceSampled       bool

	Place    *Place // nil if no route was found
	Instance string // that answered; empty if none did
	Cause    string // in one word, why the edge answered itself or broke off; empty if it did not
}

// Hedge is what came of a second try beside a slow first one.
type Hedge uint8

// What may come of it.
const (
	NoHedge   Hedge = iota // there was none
	HedgeLost              // the first try answered after all
	HedgeWon               // the second one did
	hedges    = int(iota)
)

var hedgeNames = [hedges]string{"", "lost", "won"}

func (h Hedge) String() string { return hedgeNames[min(int(h), hedges-1)] }

// Protocol is the version of HTTP that the client speaks.
type Protocol uint8

// The protocols.
const (
	HTTP11 Protocol = iota
	HTTP10
	HTTP2
	HTTP3
	protocols = int(iota)
)

var protocolNames = [protocols]string{"HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/3.0"}

func (p Protocol) String() string { return protocolNames[min(int(p), protocols-1)] }

// A Place is where a request went. It is made when routes are compiled, so that what never changes is formatted once.
type Place struct {
	json, combined []byte
}

// NewPlace makes a place of what configuration names. Empty parts are left out.
func NewPlace(app, release, arm, pool, route string) *Place {
	p := new(Place)
	for _, f := range []struct{ key, value string }{{"app", app}, {"release", release}, {"arm", arm}, {"pool", pool}, {"route", route}} {
		if f.value == "" {
			continue
		}
		p.json = appendJSON(append(append(append(p.json, `,"`...), f.key...), `":`...), []byte(f.value))
		p.combined = appendQuoted(append(append(append(p.combined, ' '), f.key...), '='), []byte(f.value))
	}
	return p
}

// The strings of a record, in the order in which they lie in the ring.
const (
	fieldMethod = iota
	fieldTarget
	fieldHost
	fieldReferer
	fieldAgent
	fieldID
	fieldInstance
	fieldCause
	fields
)

// bounds are the most bytes of each string that a record keeps.
var bounds = [fields]int{32, 2048, 256, 1024, 512, 128, 128, 32}

// A record is an entry in a ring. But for the place it has no pointers: the garbage collector has nothing to do with it.
type record struct {
	began                  int64
	took, upstream, held   time.Duration
	requestBytes, response int64
	place                  *Place
	strings                uint64 // where they begin in the ring's bytes
	share                  float32
	status                 uint16
	tries                  uint8
	hedge                  Hedge
	protocol               Protocol
	flags                  uint8
	lengths                [fields]uint16
	client                 [16]byte
	trace                  trace.ID
	span                   trace.SpanID
}

const (
	flagTLS = 1 << iota
	flagClient
	flagTruncated
	flagTraceSampled
)

func (r *record) set(e *Entry) {
	r.began, r.took, r.upstream, r.held = e.Began, e.Took, e.Upstream, e.Held
	r.requestBytes, r.response = e.RequestBytes, e.ResponseBytes
	r.place, r.trace, r.span, r.protocol = e.Place, e.Trace, e.Span, e.Protocol
	r.status, r.tries = uint16(min(max(e.Status, 0), 999)), uint8(min(max(e.Tries, 0), 255))
	r.hedge = e.Hedge
	r.flags = 0
	if e.TLS {
		r.flags |= flagTLS
	}
	if e.TraceSampled {
		r.flags |= flagTraceSampled
	}
	if e.Client.IsValid() {
		r.flags |= flagClient
		r.client = e.Client.As16()
	}
}
