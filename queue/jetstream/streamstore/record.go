package streamstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// magic begins every record, with the version of its form.
const magic = "smpq1"

const (
	kindCommits = 1
	kindCarry   = 2
)

// origin names a record among all: its writer, and its number among those of that writer.
type origin struct {
	writer [8]byte
	number uint64
}

// record is one message of the stream: commits, or what is carried out of old messages that may be purged.
type record struct {
	origin  origin
	base    int64      // the revision of its first commit; of a carry, the present one
	commits [][]change // none is empty
	through uint64     // of a carry: messages up to it may be purged
	carried []change   // with their versions
}

// change is one key's.
type change struct {
	key     string
	value   []byte
	version int64 // of what is carried; a commit's is its revision
	deleted bool
	at      int // of the value, in the encoded record
}

var errRecord = errors.New("it is no record of this queue, or damaged")

// encode gives the message of r.
func (r *record) encode() []byte {
	b := append([]byte(magic), kindCommits)
	if r.commits == nil {
		b[len(magic)] = kindCarry
	}
	b = append(b, r.origin.writer[:]...)
	b = binary.AppendUvarint(b, r.origin.number)
	b = binary.AppendUvarint(b, uint64(r.base))
	if r.commits == nil {
		b = binary.AppendUvarint(b, r.through)
		b = appendChanges(b, r.carried)
	} else {
		b = binary.AppendUvarint(b, uint64(len(r.commits)))
		for _, c := range r.commits {
			b = appendChanges(b, c)
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func appendChanges(b []byte, changes []change) []byte {
	b = binary.AppendUvarint(b, uint64(len(changes)))
	for _, c := range changes {
		b = binary.AppendUvarint(b, uint64(len(c.key)))
		b = append(b, c.key...)
		if c.deleted {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = binary.AppendUvarint(b, uint64(c.version))
		b = binary.AppendUvarint(b, uint64(len(c.value)))
		b = append(b, c.value...)
	}
	return b
}

// sizeOf is at least what a change takes in a record.
func (c change) size() int { return len(c.key) + len(c.value) + 32 }

// overhead is at least what a record takes beside its changes, and less than what every message may be larger than them.
const overhead = 256

// decode reads a message. The values are parts of it.
func decode(message []byte) (*record, error) {
	body := len(message) - sha256.Size
	if body < len(magic)+1+8 || !bytes.HasPrefix(message, []byte(magic)) {
		return nil, errRecord
	}
	if sum := sha256.Sum256(message[:body]); !bytes.Equal(sum[:], message[body:]) {
		return nil, errRecord
	}
	p := &parser{b: message[:body], at: len(magic) + 1}
	r := &record{}
	copy(r.origin.writer[:], p.bytes(8))
	r.origin.number = p.uvarint()
	r.base = int64(p.uvarint())
	switch message[len(magic)] {
	case kindCommits:
		n := p.count()
		r.commits = make([][]change, 0, n)
		for range n {
			r.commits = append(r.commits, p.changes())
		}
	case kindCarry:
		r.through = p.uvarint()
		r.carried = p.changes()
	default:
		return nil, errRecord
	}
	if p.bad || p.at != body {
		return nil, errRecord
	}
	return r, nil
}

// parser takes values off b until one is not whole.
type parser struct {
	b   []byte
	at  int
	bad bool
}

func (p *parser) bytes(n int) []byte {
	if p.bad || n < 0 || n > len(p.b)-p.at {
		p.bad = true
		return nil
	}
	p.at += n
	return p.b[p.at-n : p.at : p.at]
}

func (p *parser) uvarint() uint64 {
	if p.bad {
		return 0
	}
	v, n := binary.Uvarint(p.b[p.at:])
	p.bad = n <= 0
	p.at += max(n, 0)
	return v
}

// count is a number of things, of which each takes at least a byte.
func (p *parser) count() int {
	n := p.uvarint()
	if n > uint64(len(p.b)-p.at) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *parser) changes() []change {
	n := p.count()
	out := make([]change, 0, n)
	for range n {
		c := change{key: string(p.bytes(p.count()))}
		if kind := p.bytes(1); len(kind) == 1 && kind[0] == 1 {
			c.version = int64(p.uvarint())
			size := p.count()
			c.at = p.at
			c.value = p.bytes(size)
		} else {
			c.deleted = true
		}
		if p.bad {
			return nil
		}
		out = append(out, c)
	}
	return out
}
