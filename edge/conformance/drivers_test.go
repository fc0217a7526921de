package conformance_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/edge"
	"semper/edge/conformance"
	"semper/edge/conformance/wire"
)

// A side is an edge with one driver before a recorder.
type side struct {
	driver   edge.Driver
	addr     string
	recorder *conformance.Recorder
}

func newSide(t testing.TB, d edge.Driver) *side {
	t.Helper()
	e, err := edge.New(edge.Options{ID: "edge-1", Dir: t.TempDir(), Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() }) //nolint:errcheck // the sockets are what is looked at
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, false) }()
	t.Cleanup(func() { e.Close(); <-served }) //nolint:errcheck // the same
	r, err := conformance.Record("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the same
	pool := semper.Pool{Key: "bar/production/web", App: "bar", Release: "r1", Backend: []semper.Backend{{ID: "bar/1", Address: r.Addr().String()}}}
	if err := e.Apply(semper.Table{Epoch: 1, Pools: []semper.Pool{pool}, Routes: []semper.Route{{Path: "/", Pool: pool.Key}}}); err != nil {
		t.Fatal(err)
	}
	return &side{driver: d, addr: l.Addr().String(), recorder: r}
}

// patience is for an end that has to come; only a hang is as long.
const patience = 20 * time.Second

// play sends raw in writes of at most chop bytes, ends the client's stream, and tells all that came of it: what the
// client read, and what whole requests reached the recorder.
func (s *side) play(t testing.TB, raw []byte, chop int) string {
	t.Helper()
	s.recorder.Begin(func(*wire.Request) conformance.Reply { return conformance.Reply{} })
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()                         //nolint:errcheck // it has been read to its end
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // a socket just made takes one
	for piece := range slices.Chunk(raw, chop) {
		if _, err := conn.Write(piece); err != nil {
			break // refused before all of it was sent
		}
	}
	conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // the same
	var b strings.Builder
	in := bufio.NewReader(conn)
	for {
		// What a HEAD is answered is told from what follows it, which only whole answers have.
		p, err := wire.ReadResponse(in, methodOf(raw))
		if p != nil {
			// The edge's own pages tell the request's number, which is another one each time.
			body := string(p.Body)
			if id := p.Fields.Get("X-Request-Id"); id != "" {
				body = strings.ReplaceAll(body, id, "(id)")
			}
			fmt.Fprintf(&b, "answer %d %v %d %q %s\n", p.Status, p.Framing, p.Length, body, fields(p.Fields))
		}
		if err == nil {
			continue
		}
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Fatalf("%s: %q in pieces of %d: the connection does not end; so far:\n%s", s.driver, raw, chop, b.String())
		}
		if !errors.Is(err, io.EOF) {
			fmt.Fprintf(&b, "end: whole %v\n", p != nil)
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	messages, ok := s.recorder.Wait(ctx, func(all []conformance.Message) bool {
		return !slices.ContainsFunc(all, func(m conformance.Message) bool { return !m.Done })
	})
	if !ok {
		t.Fatalf("%s: %q in pieces of %d: a request at the instance does not end; client:\n%s", s.driver, raw, chop, b.String())
	}
	for _, m := range messages {
		if m.Whole() {
			q := m.Request
			fmt.Fprintf(&b, "request %s %q %v %d %q %s %s\n", q.Method, q.Target, q.Framing, q.Length, q.Body, fields(q.Fields), fields(q.Trailer))
		}
	}
	return b.String()
}

// methodOf is HEAD if any request of raw may be one: what it is answered then has no body for sure only if all are.
func methodOf(raw []byte) string {
	if strings.HasPrefix(string(raw), "HEAD ") {
		return "HEAD"
	}
	return "GET"
}

// fields are f without what differs from request to request.
func fields(f wire.Fields) string {
	var kept []string
	for _, field := range f {
		switch strings.ToLower(field.Name) {
		case "date", "x-request-id", "traceparent":
		default:
			kept = append(kept, fmt.Sprintf("%s: %q", strings.ToLower(field.Name), field.Value))
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, "; ")
}

// FuzzDrivers sends any bytes at all, in any pieces, through both drivers over real sockets. The client must see the same
// answers, the instance the same requests, each of them well-formed to package wire, which shares no code with the edge; and
// every connection must come to its end.
func FuzzDrivers(f *testing.F) {
	for _, row := range conformance.Rows() {
		for _, c := range row.Cases {
			var raw []byte
			for _, s := range c.Steps {
				if s.Do == conformance.Send || s.Do == conformance.SendEach {
					raw = append(raw, s.Data...)
				}
			}
			if len(raw) > 0 && len(raw) <= maxFuzz {
				f.Add(raw, uint16(len(raw)))
			}
		}
	}
	loops, goroutines := newSide(f, edge.Loops), newSide(f, edge.Goroutines)
	f.Fuzz(func(t *testing.T, raw []byte, chop uint16) {
		if len(raw) > maxFuzz {
			return
		}
		n := max(int(chop), 1+len(raw)/16) // not so many writes that the sending takes the time
		if a, b := loops.play(t, raw, n), goroutines.play(t, raw, n); a != b {
			t.Fatalf("%q in pieces of %d: by loops\n%sby goroutines\n%s", raw, n, a, b)
		}
	})
}

// maxFuzz bounds an input, in bytes.
const maxFuzz = 2 << 10
