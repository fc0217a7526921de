package streamstore

import (
	"slices"
	"sort"
	"strings"
)

// entry is a key that is there. But for where it stands it does not change: another version is another entry.
type entry struct {
	key     string
	version int64
	small   []byte // the value, where it is small enough to be kept
	size    int    // of the value

	// Where the value stands; a carry moves it. Guarded by the store's mu.
	seq uint64
	at  int
}

// smallValue is the largest value that stays in memory.
const smallValue = 64

// weight is what an entry counts as of the stream.
func (e *entry) weight() int64 { return int64(len(e.key) + e.size + 32) }

// chunkMost is how many entries a chunk has before it is split.
const chunkMost = 512

// index is entries in the order of their keys, in chunks: a change moves a few hundred pointers, however many there are.
type index struct {
	chunks [][]*entry // none is empty
	count  int
}

// find is where key stands or would: in which chunk, and where in it.
func (x *index) find(key string) (chunk, at int, found bool) {
	// The last chunk that begins at or before key.
	chunk = max(sort.Search(len(x.chunks), func(i int) bool { return x.chunks[i][0].key > key })-1, 0)
	if len(x.chunks) == 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearchFunc(x.chunks[chunk], key, func(e *entry, key string) int { return strings.Compare(e.key, key) })
	return chunk, at, found
}

// get is the entry of key, or nil.
func (x *index) get(key string) *entry {
	chunk, at, found := x.find(key)
	if !found {
		return nil
	}
	return x.chunks[chunk][at]
}

// put adds e and gives the one that it replaces, if any.
func (x *index) put(e *entry) (old *entry) {
	if len(x.chunks) == 0 {
		x.chunks, x.count = [][]*entry{{e}}, 1
		return nil
	}
	chunk, at, found := x.find(e.key)
	c := x.chunks[chunk]
	if found {
		old, c[at] = c[at], e
		return old
	}
	x.count++
	c = slices.Insert(c, at, e)
	x.chunks[chunk] = c
	if len(c) > chunkMost {
		half := len(c) / 2
		if at == len(c)-1 && chunk == len(x.chunks)-1 { // keys that rise fill their chunks
			half = chunkMost
		}
		right := append(make([]*entry, 0, chunkMost+1), c[half:]...)
		clear(c[half:])
		x.chunks[chunk] = c[:half]
		x.chunks = slices.Insert(x.chunks, chunk+1, right)
	}
	return nil
}

// remove gives the entry that was there, or nil.
func (x *index) remove(key string) *entry {
	chunk, at, found := x.find(key)
	if !found {
		return nil
	}
	x.count--
	c := x.chunks[chunk]
	e := c[at]
	if c = slices.Delete(c, at, at+1); len(c) == 0 {
		x.chunks = slices.Delete(x.chunks, chunk, chunk+1)
	} else {
		x.chunks[chunk] = c
	}
	return e
}

// below visits the entries whose key begins with prefix and is greater than after, in order, until visit gives false.
func (x *index) below(prefix, after string, visit func(*entry) bool) {
	chunk, at, _ := x.find(max(prefix, after))
	for ; chunk < len(x.chunks); chunk, at = chunk+1, 0 {
		for _, e := range x.chunks[chunk][at:] {
			switch {
			case !strings.HasPrefix(e.key, prefix):
				if e.key > prefix {
					return
				}
			case e.key <= after && after != "":
			case !visit(e):
				return
			}
		}
	}
}
