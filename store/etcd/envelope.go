package etcd

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

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
	b := make([]byte, 0, overhead+len(body))
	b = append(b, schema)
	b = append(b, by[:]...)
	sum := checksum(key, by, body)
	b = append(b, sum[:]...)
	return append(b, body...)
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

// checksum covers the key, so that a value found under another one does not pass.
func checksum(key string, by token, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d ", schema, len(key))
	h.Write([]byte(key))
	h.Write(by[:])
	h.Write(body)
	h.Sum(sum[:0])
	return sum
}

func corrupt(key string) error {
	return &semper.Error{Code: semper.Tampered, Op: "store", Message: key, Err: semper.ErrCorrupt,
		Hint: "the disk or its memory is failing: restore the store from a snapshot on a sound machine"}
}
