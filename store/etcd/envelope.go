package etcd

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"strconv"
	"sync"

	"semper"
)

const (
	root     = "/semper/v1/"
	schema   = 1
	tokenLen = 8
	overhead = 1 + tokenLen + sha256.Size
)

// token names one commit, also over its repetitions.
type token [tokenLen]byte

// seal is the envelope of body under key.
func seal(key string, by token, body []byte) []byte {
	b := make([]byte, overhead+len(body))
	b[0] = schema
	copy(b[1:], by[:])
	copy(b[overhead:], body)
	sum := checksum(key, by, body)
	copy(b[1+tokenLen:], sum[:])
	return b
}

// unseal is the body of envelope b and the commit that wrote it. The body shares b's memory.
func unseal(key string, b []byte) (body []byte, by token, err error) {
	if len(b) > 0 && b[0] > schema {
		return nil, by, &semper.Error{Code: semper.Internal, Op: "store",
			Message: fmt.Sprintf("%s has schema %d, and this semper knows %d", key, b[0], schema), Hint: "it was written by a newer semper: upgrade this one"}
	}
	if len(b) < overhead || b[0] != schema {
		return nil, by, corrupt(key)
	}
	copy(by[:], b[1:])
	body = b[overhead:]
	if sum := checksum(key, by, body); subtle.ConstantTimeCompare(sum[:], b[1+tokenLen:overhead]) != 1 {
		return nil, by, corrupt(key)
	}
	return body, by, nil
}

// A hasher is what checksum needs, again and again.
type hasher struct {
	hash.Hash
	text []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{Hash: sha256.New()} }}

// checksum covers the key, so that a value found under another one does not pass.
func checksum(key string, by token, body []byte) (sum [sha256.Size]byte) {
	h := hashers.Get().(*hasher) //nolint:errcheck,forcetypeassert // nothing else is put there
	h.text = append(h.text[:0], '0'+schema, ' ')
	h.text = strconv.AppendInt(h.text, int64(len(key)), 10)
	h.text = append(append(append(h.text, ' '), key...), by[:]...)
	h.Reset()
	h.Write(h.text)
	h.Write(body)
	h.text = h.Sum(h.text[:0])
	copy(sum[:], h.text)
	hashers.Put(h)
	return sum
}

func corrupt(key string) error {
	return &semper.Error{Code: semper.Tampered, Op: "store", Message: key, Err: semper.ErrCorrupt,
		Hint: "the disk or its memory is failing: restore the store from a snapshot on a sound machine"}
}
