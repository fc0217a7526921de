package mirror

import (
	stdbytes "bytes"
	"context"
	"crypto/sha256"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"semper/verify/diff"
)

// Serve compares until ctx ends, one pair after the other: never more than one processor is busy with it. What one pair breaks costs that
// pair.
func (m *Mirrors) Serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-m.queue:
			c.m.weigh(c)
		}
		for more := true; more; {
			runtime.Gosched()
			select {
			case c := <-m.queue:
				c.m.weigh(c)
			default:
				more = false
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(together):
		}
	}
}

// together is how long pairs gather, so that not each wakes a goroutine, which costs more than to compare most of them.
const together = 10 * time.Millisecond

// weigh compares the answers of c, and counts.
func (m *Mirror) weigh(c *Copy) {
	defer c.free()
	now := time.Now()
	for i := range c.parts {
		c.parts[i].Asked = c.asked
	}
	was := c.parts[client].settled(m.o.Body)
	is := c.parts[candidate].settled(m.o.Body)
	found := m.compare.Compare(c.endpoint, now, was, is)
	var again *diff.Comparison
	if c.again {
		other := m.compare.Compare(c.endpoint, now, was, c.parts[second].settled(m.o.Body))
		again = &other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.board.Add(c.endpoint, found, again)
	m.pairs.add(c, found, again)
}

func (p *pairs) add(c *Copy, found diff.Comparison, again *diff.Comparison) {
	p.expected += uint64(found.Expected)
	if c.parts[candidate].Status == 0 {
		p.unanswered[0]++
	}
	if again == nil {
		return
	}
	if c.parts[second].Status == 0 {
		p.unanswered[1]++
	}
	switch x, y := len(found.Differences) > 0, len(again.Differences) > 0; {
	case x && !y:
		p.candidate++
	case !x && y:
		p.baseline++
	}
	const margin = 1.1
	switch x, y := float64(c.took[0]), float64(c.took[1]); {
	case x > margin*y:
		p.slower++
	case y > margin*x:
		p.faster++
	}
}

// settled is the answer as it is compared: decoded, as far as that is known here and no larger than most.
func (a *answer) settled(most int64) diff.Response {
	r := a.Response
	if a.over {
		return r // of what was not read the length is too small, and the sum none: no other answer has them
	}
	if plain, ok := decode(r.Header.Get("Content-Encoding"), r.Body, most); ok {
		r.Body, r.Length, r.Decoded = plain, int64(len(plain)), true
	}
	r.Sum, r.Kept = sha256.Sum256(r.Body), true
	return r
}

// decoders of zstd hold much memory: they are used again.
var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil // the options are good
	}
	return d
}}

// decode is what was coded. ok is false for what is not coded, coded in another way or badly, or larger than most.
func decode(coding string, body []byte, most int64) (plain []byte, ok bool) {
	src := stdbytes.NewReader(body)
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(src)
	case "deflate": // as zlib, and as some send it without
		if r, err = zlib.NewReader(src); err != nil {
			r, err = flate.NewReader(stdbytes.NewReader(body)), nil
		}
	case "zstd":
		d, is := decoders.Get().(*zstd.Decoder)
		if !is {
			return nil, false
		}
		defer decoders.Put(d)
		defer d.Reset(nil) //nolint:errcheck // nil is never refused
		r, err = d, d.Reset(src)
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	plain, err = io.ReadAll(io.LimitReader(r, most+1))
	return plain, err == nil && int64(len(plain)) <= most
}
