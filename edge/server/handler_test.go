package server

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"semper/edge/conformance/wire"
)

// A script is a request, and what a handler does with it.
type script struct {
	request string
	method  string
	steps   []step
}

type step func(w http.ResponseWriter, r *http.Request)

var contents = []string{
	"", "a", "<!doctype html><p>hello", "\x89PNG\r\n\x1a\n\x00\x01", "%PDF-1.4", strings.Repeat("text ", 100), strings.Repeat("\x00\x01", 1000),
	strings.Repeat("long ", 500), strings.Repeat("longer ", 10_000), strings.Repeat("x", 2048), strings.Repeat("y", 2049),
}

// steps are what a handler may do. All of it is what net/http's documentation lets it do.
var makers = []func(rnd *rand.Rand) step{
	func(rnd *rand.Rand) step {
		name, value := fmt.Sprint("X-A-", rnd.IntN(4)), fmt.Sprint(rnd.IntN(1000))
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Add(name, value) }
	},
	func(rnd *rand.Rand) step {
		status := []int{200, 201, 204, 206, 304, 400, 404, 500, 503, 299}[rnd.IntN(10)]
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	},
	func(rnd *rand.Rand) step {
		s := contents[rnd.IntN(len(contents))]
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(s)) }
	},
	func(rnd *rand.Rand) step {
		s := contents[rnd.IntN(len(contents))]
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	},
	func(*rand.Rand) step {
		return func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }
	},
	func(rnd *rand.Rand) step {
		status := []int{103, 102}[rnd.IntN(2)]
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	},
	func(rnd *rand.Rand) step {
		n := strconv.Itoa(rnd.IntN(3000))
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", n) }
	},
	func(*rand.Rand) step {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Trailer", "X-End, X-Also") }
	},
	func(rnd *rand.Rand) step {
		name := []string{"X-End", "X-Also", http.TrailerPrefix + "X-Late"}[rnd.IntN(3)]
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(name, "end") }
	},
	func(rnd *rand.Rand) step {
		value := [][]string{nil, {"text/x"}, {}}[rnd.IntN(3)]
		return func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = value }
	},
	func(*rand.Rand) step {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "x") }
	},
	func(rnd *rand.Rand) step {
		if rnd.IntN(4) > 0 {
			return func(w http.ResponseWriter, _ *http.Request) { w.Header().Del("X-A-1") }
		}
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }
	},
	func(rnd *rand.Rand) step {
		if rnd.IntN(10) > 0 {
			return func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }
		}
		return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	},
}

// readers are those of them that read the request's content.
var readers = []func(rnd *rand.Rand) step{
	func(*rand.Rand) step {
		return func(_ http.ResponseWriter, r *http.Request) { r.Body.Close() }
	},
	func(*rand.Rand) step {
		return func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if w.Header().Add("X-Read", fmt.Sprint(len(b), err)); err == nil {
				w.Header().Add("X-Read", r.Trailer.Get("X-T"))
			}
		}
	},
	func(rnd *rand.Rand) step {
		n := rnd.Int64N(100)
		return func(_ http.ResponseWriter, r *http.Request) { io.CopyN(io.Discard, r.Body, n) }
	},
}

// write makes a script, and its request.
func (s *script) write(rnd *rand.Rand, n int) {
	s.method = []string{"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"}[rnd.IntN(6)]
	var b strings.Builder
	fmt.Fprintf(&b, "%s /pass/%d%s HTTP/1.1\r\nHost: a.example:80\r\n", s.method, n, []string{"", "?", "?a=b;c", "/%20x/%2f", "/a//b"}[rnd.IntN(5)])
	for range rnd.IntN(4) {
		fmt.Fprintf(&b, "x-field-%d:  v %d \r\n", rnd.IntN(3), rnd.IntN(100))
	}
	if rnd.IntN(10) == 0 {
		b.WriteString("Connection: close\r\n")
	}
	content := contents[rnd.IntN(len(contents))]
	if content != "" && rnd.IntN(8) == 0 {
		b.WriteString("Expect: 100-continue\r\n")
	}
	switch rnd.IntN(4) {
	case 0:
		b.WriteString("Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n")
		for len(content) > 0 {
			m := 1 + rnd.IntN(len(content))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", m, content[:m])
			content = content[m:]
		}
		b.WriteString("0\r\nX-T: t\r\n\r\n")
	case 1:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(content), content)
	default:
		b.WriteString("\r\n")
	}
	s.request = strings.Replace(b.String(), "Expect: 100-continue\r\n\r\n", "\r\n", 1) // without content it is none
	// What is read is read before anything is sent: behind that net/http reads nothing, unless it is asked to. And where
	// nobody has said 100 Continue it may wait for content that does not come.
	if strings.Contains(s.request, "Expect:") {
		s.steps = append(s.steps, readers[1](rnd))
	}
	for range rnd.IntN(3) {
		s.steps = append(s.steps, readers[rnd.IntN(len(readers))](rnd))
	}
	for range rnd.IntN(7) {
		s.steps = append(s.steps, makers[rnd.IntN(len(makers))](rnd))
	}
}

// play is the handler.
func play(scripts []*script) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[2])
		if err != nil {
			panic(err)
		}
		h := r.Header.Clone()
		h.Del("Trailer")
		w.Header().Set("X-Saw", fmt.Sprintf("%q", fmt.Sprint(r.Method, r.URL, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery, r.Proto, r.ProtoMajor,
			r.ProtoMinor, r.Host, r.RequestURI, r.ContentLength, r.TransferEncoding, r.Close, h, len(r.Trailer), r.TLS != nil)))
		for _, do := range scripts[n].steps {
			do(w, r)
		}
	})
}

// seen is what a client gets of a script, as text: whatever frames it, for that a server may choose.
func seen(addr string, s *script) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	in := bufio.NewReader(c)
	head, content, _ := strings.Cut(s.request, "\r\n\r\n")
	waits := strings.Contains(head, "Expect:")
	if !waits {
		head, content = s.request[:len(s.request)-len(content)]+content, ""
	} else {
		head += "\r\n\r\n"
	}
	io.WriteString(c, head)
	var b strings.Builder
	for {
		p, err := wire.ReadResponse(in, s.method)
		if err != nil {
			b.WriteString("broken off") // of what was sent before, a reset may have taken something
			return b.String()
		}
		var lines []string
		for _, f := range p.Fields {
			switch strings.ToLower(f.Name) {
			case "date":
				f.Value = "..."
			case "content-length", "content-type": // net/http takes what a handler says of the content that is not sent again
				if p.Status == 304 {
					continue
				}
			case "connection":
				if p.Interim() {
					continue // it is about the last response
				}
			}
			lines = append(lines, f.Name+": "+f.Value)
		}
		slices.Sort(lines)
		slices.SortFunc(p.Trailer, func(a, b wire.Field) int { return strings.Compare(a.Name, b.Name) })
		fmt.Fprintf(&b, "%d %q trailer %q content %d %q\n", p.Status, lines, p.Trailer, len(p.Body), p.Body[:min(len(p.Body), 100)])
		if p.Interim() {
			if p.Status == 100 {
				io.WriteString(c, content)
			}
			continue
		}
		// Whether the connection goes on is seen by what follows.
		io.WriteString(c, "GET /pass/0 HTTP/1.1\r\nHost: a\r\n\r\n")
		next, err := wire.ReadResponse(in, "GET")
		fmt.Fprintf(&b, "then %v", err == nil && next.Status == 200)
		return b.String()
	}
}

// A handler cannot tell this server from net/http's, nor can its client.
func TestLikeNetHTTP(t *testing.T) {
	t.Parallel()
	const exchanges = 2000
	rnd := rand.New(rand.NewPCG(4, 2))
	scripts := []*script{{}}
	for n := range exchanges {
		s := new(script)
		s.write(rnd, n+1)
		scripts = append(scripts, s)
	}
	h := play(scripts)
	ours := start(t, Options{Handler: h})
	theirs := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { theirs.Serve(l); close(served) }()
	defer func() { theirs.Close(); <-served }()
	different := 0
	for _, s := range scripts[1:] {
		a, b := seen(ours.addr, s), seen(l.Addr().String(), s)
		if a != b {
			if different++; different < 8 {
				t.Errorf("%.300q\nours:   %s\ntheirs: %s", s.request, a, b)
			}
		}
	}
	if different > 0 {
		t.Errorf("%d of %d are different", different, exchanges)
	}
}
