package certs

import (
	"context"
	"errors"
)

// Storage keeps what edges share: accounts, certificates, keys, pending challenges, keys of tickets. It holds private keys:
// whoever can read it can pose as the sites. Keys are as io/fs.ValidPath wants them. It is safe for concurrent use.
//
// The realizations are [File], for the edges of one machine, and [InStore]. edge/certs/storagetest is the contract as a
// test suite.
type Storage interface {
	// Load is the value last stored at key. The error is fs.ErrNotExist when there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store puts value at key, all of it or nothing, durably. It does so only if none of the leases in under is lost at
	// that instant, else the error is [ErrLeaseLost]. They are leases of this Storage.
	Store(ctx context.Context, key string, value []byte, under ...Lease) error
	// Delete removes what is at key. That there is nothing is no error.
	Delete(ctx context.Context, key string) error
	// List is every key that begins with prefix, in order. That there is none is no error.
	List(ctx context.Context, prefix string) ([]string, error)
	// Lock waits until nobody else holds name, or ctx ends. The lease does not end with ctx. The holder's death ends it,
	// at once or after a while. A name may be any text.
	Lock(ctx context.Context, name string) (Lease, error)
}

// Lease is a lock that is held, for as long as its Storage can vouch for it.
type Lease interface {
	// Done is closed when the lease is lost or released. Who is slow to look is still safe: see Storage.Store.
	Done() <-chan struct{}
	// Release ends the lease. That it was lost already is no error.
	Release(ctx context.Context) error
}

// ErrLeaseLost means that another may hold the lock by now: what was to be written was not.
var ErrLeaseLost = errors.New("the lock was lost before the write: another edge goes on with it")
