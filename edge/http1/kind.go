package http1

import "encoding/binary"

// A Kind says which field a name stands for, as far as this engine or its drivers have to know. All others are Other.
type Kind uint8

// The kinds. OtherForwarded is any X-Forwarded-… without a kind of its own.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	ProxyConnection
	KeepAlive
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	Upgrade
	HTTP2Settings
	Expect
	XForwardedFor
	XForwardedHost
	XForwardedProto
	OtherForwarded
	Forwarded
	XRealIP
	XRequestID
	Via
	TraceParent
	TraceState
	ContentType
	ContentEncoding
	ContentRange
	Authorization
	Cookie
	SetCookie
	MaxForwards
	Range
	CacheControl
	Age
	Date
	Location
	RetryAfter
	Vary
	WWWAuthenticate
	UserAgent
	Referer
	Accept
	AcceptEncoding
	LastEventID
	SemperRelease
	SemperError
	SemperShadow
	SemperVariant
	SemperVariantKey
	numKinds
)

var kindNames = [numKinds]string{
	Host: "host", ContentLength: "content-length", TransferEncoding: "transfer-encoding", Connection: "connection",
	ProxyConnection: "proxy-connection", KeepAlive: "keep-alive", ProxyAuthenticate: "proxy-authenticate",
	ProxyAuthorization: "proxy-authorization", TE: "te", Trailer: "trailer", Upgrade: "upgrade", HTTP2Settings: "http2-settings",
	Expect: "expect", XForwardedFor: "x-forwarded-for", XForwardedHost: "x-forwarded-host", XForwardedProto: "x-forwarded-proto",
	OtherForwarded: forwardedPrefix, Forwarded: "forwarded", XRealIP: "x-real-ip", XRequestID: "x-request-id", Via: "via",
	TraceParent: "traceparent", TraceState: "tracestate", ContentType: "content-type", ContentEncoding: "content-encoding",
	ContentRange: "content-range", Authorization: "authorization", Cookie: "cookie", SetCookie: "set-cookie",
	MaxForwards: "max-forwards", Range: "range", CacheControl: "cache-control", Age: "age", Date: "date", Location: "location",
	RetryAfter: "retry-after", Vary: "vary", WWWAuthenticate: "www-authenticate", UserAgent: "user-agent", Referer: "referer",
	Accept: "accept", AcceptEncoding: "accept-encoding", LastEventID: "last-event-id", SemperRelease: "x-semper-release",
	SemperError: "x-semper-error", SemperShadow: "semper-shadow", SemperVariant: "semper-variant", SemperVariantKey: "semper-variant-key",
}

const forwardedPrefix = "x-forwarded-"

// kinds is a set of kinds.
type kinds uint64

func setOf(list ...Kind) (s kinds) {
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

func (s kinds) has(k Kind) bool { return s>>k&1 != 0 }

var (
	// hopByHop fields are about one connection (RFC 9110, 7.6.1, and what was one of them before).
	hopByHop = setOf(Connection, ProxyConnection, KeepAlive, ProxyAuthenticate, ProxyAuthorization, TE, Trailer,
		TransferEncoding, Upgrade, HTTP2Settings)

	// provenance fields say who asked and by which way: only a trusted peer may.
	provenance = setOf(XForwardedFor, XForwardedHost, XForwardedProto, OtherForwarded, Forwarded, XRealIP, XRequestID)

	// unnameable fields cannot be removed by naming them in Connection: messages are framed, routed, or attributed by
	// them.
	unnameable = provenance | assigned | setOf(Host, ContentLength, TransferEncoding, Connection, Via, TraceParent, TraceState, Date, SemperRelease)

	// assigned fields say which variants of experiments a request has: nobody but the edge may.
	assigned = setOf(SemperVariant, SemperVariantKey)

	// aliased kinds are those that an app which takes an underscore for a dash would be misled by.
	aliased = hopByHop | provenance | assigned | setOf(Host, ContentLength, Expect, SemperShadow)

	// notTrailers frame, route, authorise or describe a message, and are too late at its end (RFC 9110, 6.5.1).
	notTrailers = hopByHop | provenance | assigned | setOf(Host, ContentLength, ContentType, ContentEncoding, ContentRange, Authorization,
		Cookie, SetCookie, Expect, MaxForwards, Range, CacheControl, Age, Date, Location, RetryAfter, Vary, WWWAuthenticate)
)

// nameTable finds a name by its length, first and last byte: no two of the known names share a slot (see the test).
var nameTable = func() (t [128]Kind) {
	for k, name := range kindNames {
		if name != "" && Kind(k) != OtherForwarded {
			t[slot(len(name), name[0], name[len(name)-1])] = Kind(k)
		}
	}
	return t
}()

func slot(n int, first, last byte) uint {
	return (uint(n)*6 + uint(first|0x20)*5 + uint(last|0x20)*38) & 127
}

// kindOf is the kind of a name, which is a token and not empty.
func kindOf(name []byte) Kind {
	k := nameTable[slot(len(name), name[0], name[len(name)-1])]
	if k != Other && nameIs(name, k) {
		return k
	}
	if name[0]|0x20 == 'x' && len(name) >= len(forwardedPrefix) && foldEqual(name[:len(forwardedPrefix)], forwardedPrefix) {
		return OtherForwarded
	}
	return Other
}

// nameWords are the names of 8 to 24 bytes as words: the first eight bytes, the next, and the last.
var nameWords = func() (t [numKinds][3]uint64) {
	for k, name := range kindNames {
		if n := len(name); n >= 8 {
			b := []byte(name)
			t[k] = [3]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[min(8, n-8):]), binary.LittleEndian.Uint64(b[n-8:])}
		}
	}
	return t
}()

// nameIs reports whether a name is that of a kind, whatever its case.
func nameIs(name []byte, k Kind) bool {
	n := len(name)
	if n != len(kindNames[k]) {
		return false
	}
	if n < 8 {
		return foldEqual(name, kindNames[k])
	}
	const fold = 0x20 * ones
	w := &nameWords[k]
	return binary.LittleEndian.Uint64(name)|fold == w[0] &&
		binary.LittleEndian.Uint64(name[n-8:])|fold == w[2] &&
		(n <= 16 || binary.LittleEndian.Uint64(name[8:])|fold == w[1])
}

// isAlias reports whether name, which has underscores, is one of the aliased kinds for an app that takes them for
// dashes.
func isAlias(name []byte) bool {
	var dashed [24]byte
	n := copy(dashed[:], name)
	for i, c := range dashed[:n] {
		if c == '_' {
			dashed[i] = '-'
		}
	}
	k := kindOf(dashed[:n])
	if n < len(name) && k != OtherForwarded { // what is longer than every known name can only be of that prefix
		return false
	}
	return aliased.has(k)
}
