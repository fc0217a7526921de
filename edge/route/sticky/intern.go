package sticky

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"weak"
)

// An id stands for a scope and its keys, and tells none of them.
type id [sha256.Size]byte

func idOf(scope string, current, previous []byte) (i id) {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(scope), current, previous} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:]) // never fails (hash.Hash)
		h.Write(part)
	}
	return id(h.Sum(nil))
}

// signers are all that somebody has, one for each scope and keys. Routes are compiled anew at each change of any of them, and what
// a signer knows outlives that: the new ones have it before the old ones let it go.
var signers = struct {
	sync.Mutex
	all map[id]weak.Pointer[Signer]
}{all: make(map[id]weak.Pointer[Signer])}

// interned is the signer of i; made if there is none.
func interned(i id, made func() *Signer) *Signer {
	signers.Lock()
	defer signers.Unlock()
	if s := signers.all[i].Value(); s != nil {
		return s
	}
	s := made()
	signers.all[i] = weak.Make(s)
	runtime.AddCleanup(s, forget, i)
	return s
}

// forget takes i out, unless it was made anew meanwhile.
func forget(i id) {
	signers.Lock()
	defer signers.Unlock()
	if signers.all[i].Value() == nil {
		delete(signers.all, i)
	}
}
