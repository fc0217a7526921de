package observer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// Env is the environment variable with the path of the socket.
	Env = "SEMPER_TREE"
	// Version is that of the protocol.
	Version = 1
	// MaxLine is the most that a line may have, with its newline.
	MaxLine = 1 << 20

	maxNesting = 128    // of JSON values in a line
	maxObjects = 20_000 // of a line: each becomes a few hundred bytes of memory, however short it is
	keepBuffer = 64 << 10
)

// ErrProtocol says that the other side does not speak the protocol; the text says what it did. The connection is closed.
var ErrProtocol = errors.New("not the protocol of a tree")

// Hello is what a program says of itself. Nothing of it is proven.
type Hello struct {
	PID     int    `json:"pid"` // of the OS process
	Program string `json:"program"`
}

// message is one line of either side.
type message struct {
	V       int          `json:"v,omitempty"`
	Hello   *Hello       `json:"hello,omitempty"`
	ID      uint64       `json:"id,omitempty"`
	Want    string       `json:"want,omitempty"`
	PID     string       `json:"pid,omitempty"`
	Tree    *Node        `json:"tree,omitempty"`
	Process *ProcessInfo `json:"process,omitempty"`
	Error   string       `json:"error,omitempty"`
	Crash   *Crash       `json:"crash,omitempty"`
}

const (
	wantTree    = "tree"
	wantProcess = "process"
)

// encode is m as a line.
func encode(m message) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// fit is m as a line that is short enough; a tree loses leaves until it is.
func fit(m message) ([]byte, error) {
	for children := treeLimits.children; ; children /= 3 {
		line, err := encode(m)
		if err != nil || len(line) <= MaxLine {
			return line, err
		}
		if m.Tree == nil || children == 0 {
			return nil, fmt.Errorf("%w: a message of %d bytes, at most %d fit into a line", ErrProtocol, len(line), MaxLine)
		}
		m.Tree.prune(children / 3)
	}
}

// lines reads lines of limited length. Its memory is that of the longest line at hand, and little between lines.
type lines struct {
	r   *bufio.Reader
	buf []byte
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReader(r)} }

// next is the next line, without its newline; it is valid until the next call.
func (l *lines) next() ([]byte, error) {
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > MaxLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, MaxLine)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return l.buf[:len(l.buf)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// decode reads one line. What it makes of it is bounded by the length of the line and the number of objects in it.
func decode(line []byte) (message, error) {
	var m message
	if err := measure(line); err != nil {
		return m, err
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return m, nil
}

// measure refuses what would become large in memory, before any of it does.
func measure(line []byte) error {
	depth, objects := 0, 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			for i++; i < len(line) && line[i] != '"'; i++ {
				if line[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxNesting {
				return fmt.Errorf("%w: values nested more than %d deep", ErrProtocol, maxNesting)
			}
			if objects++; objects > maxObjects {
				return fmt.Errorf("%w: more than %d objects in one line", ErrProtocol, maxObjects)
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}
