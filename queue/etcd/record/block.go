package record

import (
	"encoding/binary"
	"encoding/hex"
	"slices"

	"semper/queue"
)

// Block is the name of a block: the first half of the ids of its jobs.
type Block [8]byte

func (b Block) String() string { return hex.EncodeToString(b[:]) }

// BlockOf is the block that a job is in, if it is in one.
func BlockOf(id queue.ID) Block { return Block(id[:8]) }

// BlockSchema begins each block.
const BlockSchema = 1

// AppendPart adds a job's record to a block.
func AppendPart(b []byte, id queue.ID, record []byte) []byte {
	b = append(b, id[:]...)
	b = binary.AppendUvarint(b, uint64(len(record)))
	return append(b, record...)
}

// Parts visits the records of a block; false when it is not one that this semper knows.
func Parts(value []byte, visit func(id queue.ID, record []byte)) bool {
	if len(value) == 0 || value[0] != BlockSchema {
		return false
	}
	for r := (reader{b: value[1:]}); len(r.b) > 0; {
		var id queue.ID
		copy(id[:], r.bytes(len(id)))
		n := r.uvarint()
		record := r.bytes(int(min(n, uint64(len(r.b))+1)))
		if r.bad {
			return false
		}
		visit(id, record)
	}
	return true
}

// Marked are the jobs that a mark of block b says are over; false when it is none.
func Marked(b Block, value []byte) (ids []queue.ID, ok bool) {
	if len(value) == 0 || len(value)%8 != 0 {
		return nil, false
	}
	for suffix := range slices.Chunk(value, 8) {
		ids = append(ids, queue.ID(slices.Concat(b[:], suffix)))
	}
	return ids, true
}
