package h3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"semper/edge/conformance/wire"
)

// maxHead bounds a head that the server sends.
const maxHead = 1 << 20

// frame is one of that kind.
func frame(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

// headers is the frame of fields, given as name, value, name, value.
func headers(fields []string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]}) //nolint:errcheck // to memory
	}
	return frame(frameHeaders, b.Bytes())
}

// read takes a stream's answer until it ends.
func (c *Conn) read(id uint32, s *quic.Stream) {
	in := bufio.NewReader(s)
	for {
		err := c.next(id, in)
		if err == nil {
			continue
		}
		var reset *quic.StreamError
		c.change(func() {
			switch at := c.streams[id]; {
			case errors.Is(err, io.EOF):
				at.Ended = true
			case errors.As(err, &reset) && reset.Remote:
				code := uint64(reset.ErrorCode)
				at.Reset = &code
			case errors.As(err, new(*syntaxError)):
				c.garbage = err
			}
		})
		return
	}
}

// syntaxError is what is no HTTP/3.
type syntaxError struct{ what string }

func (e *syntaxError) Error() string { return "the server sent no HTTP/3: " + e.what }

// next takes one frame; io.EOF: there is none.
func (c *Conn) next(id uint32, in *bufio.Reader) error {
	kind, err := quicvarint.Read(in)
	if err != nil {
		return err
	}
	n, err := quicvarint.Read(in)
	if err != nil {
		return within(err)
	}
	switch kind {
	case frameHeaders:
		if n > maxHead {
			return &syntaxError{fmt.Sprintf("a head of %d bytes", n)}
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return within(err)
		}
		return c.head(id, b)
	case frameData:
		var buf [4 << 10]byte
		for left := n; left > 0; {
			got, err := in.Read(buf[:min(left, uint64(len(buf)))])
			c.change(func() { c.streams[id].Body = append(c.streams[id].Body, buf[:got]...) })
			if left -= uint64(got); err != nil && left > 0 { //nolint:gosec // a count
				return within(err)
			}
		}
		return nil
	default: // unknown ones are to be ignored (RFC 9114, 9)
		_, err := io.CopyN(io.Discard, in, int64(n)) //nolint:gosec // a frame's length
		return within(err)
	}
}

// within is the error of who expected more: the end of the stream is a fault there.
func within(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &syntaxError{"a frame that ends early"}
	}
	return err
}

// head takes a response's head, an interim one's, or a trailer.
func (c *Conn) head(id uint32, b []byte) error {
	p, status := wire.Response{Minor: 1}, ""
	next := qpack.NewDecoder().Decode(b)
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &syntaxError{err.Error()}
		}
		if f.Name == ":status" {
			status = f.Value
			continue
		}
		p.Fields = append(p.Fields, wire.Field{Name: f.Name, Value: f.Value})
	}
	var err error
	if status != "" {
		if p.Status, err = strconv.Atoi(status); err != nil {
			return &syntaxError{"a status of " + strconv.Quote(status)}
		}
	}
	c.change(func() {
		switch at := c.streams[id]; {
		case status == "":
			at.Trailer = p.Fields
		case p.Interim():
			at.Interim = append(at.Interim, &p)
		default:
			at.Response = p
		}
	})
	return nil
}
