package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// Host is whom every request is for: a proxy under test must route it.
const Host = "a.example"

// Abort is how an exchange ends before its time.
type Abort int

// The aborts. The cut is at byte [Exchange].At of what is being sent.
const (
	Whole        Abort = iota
	ClientCloses       // in the request
	ClientResets
	BackendCloses // in the answer
	BackendResets
)

// Exchange is a request and its answer, as they will be sent.
type Exchange struct {
	ID      string // in a field of the request, so that the backend knows it
	Method  string
	Request string
	Answer  string
	Abort   Abort
	At      int
}

// A Session is the exchanges of one connection. Only the last one may abort.
type Session struct {
	Exchanges []Exchange
	Pipelined bool // all requests are sent before the first answer is waited for
	Writes    int  // in how many writes at most a request is sent
}

// Generate is the session of a number, of the traffic of a seed.
func Generate(seed, number uint64) Session {
	g := generator{rand.New(rand.NewPCG(seed, number))}
	s := Session{Pipelined: g.oneIn(4), Writes: 1}
	if g.oneIn(3) {
		s.Writes = 2 + g.IntN(6)
	}
	n := 1 + g.IntN(8)
	for i := range n {
		s.Exchanges = append(s.Exchanges, g.exchange(fmt.Sprintf("%d-%d-%d", seed, number, i), i == n-1))
	}
	return s
}

type generator struct{ *rand.Rand }

func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g generator) exchange(id string, last bool) Exchange {
	minor := 1
	if last && g.oneIn(8) {
		minor = 0
	}
	e := Exchange{ID: id, Method: pick(g, "GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "REPORT", "M-SEARCH")}
	e.Request = g.request(e, minor, last)
	untilClose := last && g.oneIn(6)
	e.Answer = g.answer(e.Method, minor, untilClose)
	if last && g.oneIn(3) {
		e.Abort = pick(g, ClientCloses, ClientResets, BackendCloses, BackendResets)
		switch {
		case e.Abort <= ClientResets:
			e.At = 1 + g.IntN(len(e.Request)-1)
		case untilClose, minor == 0: // the client cannot tell that it was cut
			e.Abort = Whole
		default:
			e.At = g.IntN(len(e.Answer))
		}
	}
	return e
}

func (g generator) request(e Exchange, minor int, last bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\n%s:%s%s%s\r\n%s: %s\r\n", e.Method, g.target(), minor, g.casing("Host"), g.space(), Host, g.space(), idField, e.ID)
	g.fields(&b, "X-Req")
	if last && g.oneIn(5) {
		b.WriteString("Connection: close\r\n")
	}
	if g.oneIn(10) {
		b.WriteString("Connection: X-Hop, keep-alive\r\nX-Hop: for one hop\r\n")
	}
	hasBody := slices.Contains([]string{"POST", "PUT", "PATCH"}, e.Method) || g.oneIn(15) && e.Method != http.MethodHead
	switch {
	case !hasBody:
		b.WriteString("\r\n")
	case minor == 1 && g.oneIn(2):
		g.chunked(&b, "X-Req-Trailer")
	default:
		body := g.bytes(g.size())
		fmt.Fprintf(&b, "%s:%s%d\r\n", g.casing("Content-Length"), g.space(), len(body))
		if minor == 1 && len(body) > 0 && g.oneIn(10) {
			b.WriteString("Expect: 100-continue\r\n")
		}
		b.WriteString("\r\n" + body)
	}
	return b.String()
}

// answer is one to a request of that method. One until close has neither a length nor a coding.
func (g generator) answer(method string, minor int, untilClose bool) string {
	var b strings.Builder
	if minor == 1 && g.oneIn(8) {
		for range 1 + g.IntN(3) {
			b.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
		}
	}
	status := pick(g, "200 OK", "200 OK", "200 OK", "201 Created", "204 No Content", "206 Partial Content", "301 Moved Permanently", "304 Not Modified", "404 Not Found", "418 ", "500 Internal Server Error")
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\n", status)
	if status[:3] != "304" { // net/http takes it out of a 304, and guesses where there is none
		b.WriteString("Content-Type: application/octet-stream\r\n")
	}
	g.fields(&b, "X-Ans")
	for range g.IntN(3) {
		fmt.Fprintf(&b, "Set-Cookie: c%d=%s; Path=/\r\n", g.IntN(9), g.word())
	}
	none := method == "HEAD" || status[:3] == "204" || status[:3] == "304"
	switch {
	case none && method == "HEAD" && status[:3] != "204" && g.oneIn(2):
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", g.size())
	case none:
		b.WriteString("\r\n")
	case untilClose:
		b.WriteString("Connection: close\r\n\r\n" + g.bytes(g.size()))
	case g.oneIn(2):
		g.chunked(&b, "X-Ans-Trailer")
	default:
		body := g.bytes(g.size())
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	return b.String()
}

// chunked ends the head and writes a chunked body with a trailer.
func (g generator) chunked(b *strings.Builder, trailer string) {
	left, withTrailer := g.size(), g.oneIn(3)
	if left == 0 { // net/http sends a GET whose body is empty without the body, and so without its trailer
		withTrailer = false
	}
	if withTrailer {
		fmt.Fprintf(b, "Trailer: %s\r\n", trailer)
	}
	fmt.Fprintf(b, "Transfer-Encoding: %s\r\n\r\n", pick(g, "chunked", "chunked", "Chunked", "CHUNKED"))
	for left > 0 {
		n := min(left, 1+g.IntN(pick(g, 1, 10, 1000, 40_000)))
		size := fmt.Sprintf(pick(g, "%x", "%X", "%04x", "0%x"), n)
		fmt.Fprintf(b, "%s%s\r\n%s\r\n", size, pick(g, "", "", "", ";a=b", `;a="b c"`, ";a"), g.bytes(n))
		left -= n
	}
	b.WriteString(pick(g, "0", "0", "000", "0;last") + "\r\n")
	if withTrailer {
		fmt.Fprintf(b, "%s: %s\r\n", trailer, g.word())
	}
	b.WriteString("\r\n")
}

// target is a path, encoded here and there, and a query. It has no dot segments: those have two readings.
func (g generator) target() string {
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteString("/" + pick(g, "a", "index.html", "a-b_c~d", "x%20y", "%C3%A9", "(a)", "a:b", "a@b", "a=b,c", "a%2fb", "v1.2", "a;b=c", "a+b", "a&b", "$x", "*"))
	}
	if g.oneIn(6) {
		b.WriteString("/")
	}
	if g.oneIn(3) {
		b.WriteString("?" + pick(g, "", "a=b", "a=b&a=c", "q=%20%2F", "a;b", "a=b=c", "x=/y?z", "=", "a+b", "url=http://x/"))
	}
	return b.String()
}

// fields writes some that are for whoever is at the end of the way.
func (g generator) fields(b *strings.Builder, prefix string) {
	for range g.IntN(6) {
		name := fmt.Sprintf("%s-%d", prefix, g.IntN(4))
		value := pick(g, "", g.word(), g.word()+" "+g.word(), `"quoted, with \" in it"`, "a, b,,c", "Mon, 02 Jan 2006 15:04:05 GMT", "caf\xc3\xa9", "\xe9", "a\tb", strings.Repeat("long ", 1+g.IntN(200))+"end", "(a) [b] {c} <d> @ / : ; ? = \\")
		fmt.Fprintf(b, "%s:%s%s%s\r\n", g.casing(name), g.space(), value, g.space())
	}
}

func (g generator) casing(s string) string {
	return pick(g, s, s, strings.ToLower(s), strings.ToUpper(s))
}

func (g generator) space() string { return pick(g, " ", " ", "", "  ", "\t", " \t ") }

func (g generator) word() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!#$%&'*+^`|"
	b := make([]byte, 1+g.IntN(12))
	for i := range b {
		b[i] = letters[g.IntN(len(letters))]
	}
	return string(b)
}

// size is mostly small, at times larger than any buffer.
func (g generator) size() int {
	switch {
	case g.oneIn(100):
		return g.IntN(300_000)
	case g.oneIn(10):
		return g.IntN(40_000)
	case g.oneIn(8):
		return 0
	}
	return g.IntN(400)
}

// bytes are any, and among them such as look like framing.
func (g generator) bytes(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if n > 40 && g.oneIn(3) {
		copy(b[g.IntN(n-40):], pick(g, "\r\n0\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n"))
	}
	return string(b)
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }
