package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"semper/verify/diff"
)

// gor reads GoReplay's files. Each message has a line with its type (1: a request, 2: its response, 3: that of a replay), the identifier
// that request and response share and a time in nanoseconds; then it follows as it was on the wire; then a line of three monkeys.
type gor struct {
	*source
	responses bool
	ended     bool
	waiting   map[string]*message // requests for their responses, by identifier
	queue     []*message          // the same, in their order
	kept      int                 // bytes of them
	buffer    []byte
}

// A message is a request that waits for its response.
type message struct {
	id       string
	size     int
	answered bool
	Exchange
}

const (
	monkeys = "🐵🙈🙉\n"
	// A response that is further from its request than this is not waited for.
	maxWaiting      = 4096
	maxWaitingBytes = 2 * maxExchange // at most, and one more message
)

func (g *gor) next() (Exchange, error) {
	for {
		if len(g.queue) > 0 && (g.queue[0].answered || !g.responses || g.ended || len(g.queue) > maxWaiting || g.kept > maxWaitingBytes) {
			m := g.queue[0]
			g.queue[0] = nil
			g.queue = g.queue[1:]
			g.kept -= m.size
			delete(g.waiting, m.id)
			return m.Exchange, nil
		}
		if g.ended {
			return Exchange{}, io.EOF
		}
		if left, err := g.message(); err != nil || left.Left != "" {
			return left, err
		}
	}
}

// message reads the next one: a request into the queue, a response to its request. What cannot be brought together with anything is
// returned as left out.
func (g *gor) message() (Exchange, error) {
	if _, err := g.space(); err != nil {
		if g.ended = errors.Is(err, io.EOF); g.ended {
			return Exchange{}, nil
		}
		return Exchange{}, g.errorf(g.line, "%w", err)
	}
	line := g.line
	head, _, err := g.appendLine(g.buffer[:0], 1<<10)
	if err != nil {
		return Exchange{}, g.errorf(line, "a message begins here and is cut off: %w", whole(err))
	}
	kind, id, at, err := gorHead(string(head))
	if err != nil {
		return Exchange{}, g.errorf(line, "%w", err)
	}
	payload, kept, err := g.payload(head[:0])
	if err != nil {
		return Exchange{}, g.errorf(line, "message %s: %w", id, err)
	}
	place := fmt.Sprintf("%s:%d: message %s", g.name, line, id)
	switch kind {
	case '1':
		m := &message{id: id, size: len(payload), Exchange: Exchange{Place: place, At: at}}
		if m.Left = TooLarge; kept {
			m.Request, m.Left = gorRequest(payload)
		}
		m.answered = m.Left != ""
		g.queue, g.kept = append(g.queue, m), g.kept+m.size
		g.waiting[id] = m
	case '2':
		m := g.waiting[id]
		if m == nil {
			if !g.responses {
				return Exchange{}, nil
			}
			return Exchange{Place: place, Left: NoRequest}, nil
		}
		m.answered = true
		if kept && m.Left == "" {
			m.Response = gorResponse(payload, m.Request.Method)
		}
	}
	return Exchange{}, nil
}

// gorHead reads the line before a message.
func gorHead(line string) (kind byte, id string, at time.Time, err error) {
	f := strings.Fields(line)
	if len(f) < 3 || len(f) > 4 || len(f[0]) != 1 || f[0][0] < '1' || f[0][0] > '3' {
		return 0, "", at, errors.New(`a message begins with a line like "1 f45590522cd1838b 1392348948672632600": type (1 to 3), identifier, time`)
	}
	ns, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return 0, "", at, fmt.Errorf("message %s: its time %q is no number of nanoseconds", f[1], f[2])
	}
	return f[0][0], f[1], time.Unix(0, ns), nil
}

// payload reads up to the line of monkeys, or to the end of the file.
func (g *gor) payload(b []byte) (payload []byte, kept bool, err error) {
	kept = true
	defer func() { g.buffer = payload[:0:cap(payload)] }()
	for {
		if end, _ := g.in.Peek(len(monkeys)); string(end) == monkeys {
			g.in.Discard(len(monkeys)) //nolint:errcheck // it was peeked
			g.line++
			return bytes.TrimSuffix(b, []byte("\n")), kept, nil
		}
		var whole bool
		b, whole, err = g.appendLine(b, g.most)
		if kept = kept && whole; !kept {
			b = b[:0]
		}
		if errors.Is(err, io.EOF) {
			return b, kept, nil
		}
		if err != nil {
			return b, kept, err
		}
	}
}

// gorRequest reads a request as it was on the wire. Its buffer is used again: nothing of it is kept. What clients sent may be anything, and
// is no fault of the file.
func gorRequest(wire []byte) (r Request, left Reason) {
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return r, NotWhole
	}
	if err != nil {
		return r, NotHTTP
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return r, NotWhole
	}
	if len(body) == 0 {
		body = nil
	}
	if r, left, err = request(q.Method, q.RequestURI, q.Host, q.Header, body); err != nil {
		return r, NotHTTP
	}
	return r, left
}

// gorResponse reads a response; nil: it is none, or not whole.
func gorResponse(wire []byte, method string) *diff.Response {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	defer r.Body.Close() //nolint:errcheck // it is in memory
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	return response(r.StatusCode, r.Header, body)
}
