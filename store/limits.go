package store

import (
	"fmt"

	"semper"
)

// Limits of one commit. They are below those of every realization, so that what one takes, all take.
const (
	// MaxBytes is the most the keys and values of one commit may hold together.
	MaxBytes = 1 << 20
	// MaxOps is the most conditions and writes of one commit together.
	MaxOps = 512
)

// LeadKey is the key a leadership of role stands under. Its value is the leader's id.
func LeadKey(role string) string { return "lead/" + role }

// Check is nil when t is within the limits and says nothing twice, else an Invalid error.
func Check(t semper.Txn) error {
	if n := len(t.If) + len(t.Then); n > MaxOps {
		return invalid(fmt.Sprintf("a commit of %d conditions and writes is more than %d", n, MaxOps), "split it")
	}
	size := 0
	for _, c := range t.If {
		if c.Key == "" {
			return invalid("a condition without a key", "")
		}
		size += len(c.Key)
	}
	seen := make(map[string]bool, len(t.Then))
	for _, w := range t.Then {
		if w.Key == "" {
			return invalid("a write without a key", "")
		}
		if seen[w.Key] {
			return invalid("two writes to "+w.Key+" in one commit", "")
		}
		seen[w.Key] = true
		size += len(w.Key) + len(w.Value)
	}
	if size > MaxBytes {
		return invalid(fmt.Sprintf("a commit of %d bytes is more than %d", size, MaxBytes), "keep large bytes as an artifact and store their digest")
	}
	return nil
}

func invalid(message, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: "store", Message: message, Hint: hint}
}

// NotFound is the error for a key that does not exist; it is a [semper.ErrNotFound].
func NotFound(key string) error {
	return &semper.Error{Code: semper.NotFound, Op: "store", Message: key, Err: semper.ErrNotFound}
}

// Conflict is the error for condition c, found at version found (0: absent); it is a [semper.ErrConflict].
func Conflict(c semper.Condition, found int64) error {
	return &semper.Error{
		Code: semper.Conflict, Op: "store",
		Message: fmt.Sprintf("%s is at version %d, not %d", c.Key, found, c.Version),
		Hint:    "read it again and decide anew",
		Err:     semper.ErrConflict,
	}
}

// Closed is the error for a call after Close.
func Closed() error {
	return &semper.Error{Code: semper.Unavailable, Op: "store", Message: "closed"}
}
