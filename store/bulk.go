package store

import (
	"context"
	"fmt"

	"semper"
)

// Bulk is a store for those who have too much to list at once, or many keys to read at a time. Every realization here
// is one; storetest.RunBulk is its contract.
type Bulk interface {
	semper.Store
	// Scan visits every item of ranges, range by range and in key order, all as of one revision, which it gives. It
	// holds one page of them at a time. An error of visit ends it and is returned; the caller knows his own. When it
	// takes so long that the revision is compacted away it is Unavailable, and may be begun again.
	Scan(ctx context.Context, ranges []Range, visit func(semper.Item) error) (int64, error)
	// Fetch reads keys as of one revision, linearizable, in their order. What is absent has Version 0. At most MaxOps keys.
	Fetch(ctx context.Context, keys ...string) ([]semper.Item, error)
}

// Range is the keys below Prefix that are greater than After, if that is not empty.
type Range struct {
	Prefix string
	After  string
	// Keys leaves the values out, which makes it many times cheaper. They are not checked either.
	Keys bool
	// Lax visits a damaged value as nil. Otherwise it ends the scan with its Tampered error. A value that is empty is not nil.
	Lax bool
}

// CheckFetch is nil when n keys may be fetched at once.
func CheckFetch(n int) error {
	if n > MaxOps {
		return invalid(fmt.Sprintf("%d keys at once are more than %d", n, MaxOps), "fetch them in parts")
	}
	return nil
}
