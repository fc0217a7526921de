package arms

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"semper/edge/ledger"
	"semper/edge/refusal"
	"semper/edge/route"
	"semper/edge/route/sticky"
)

// Stable is the index of what a split leaves to the pool itself.
const Stable = -1

// A Request is one request as it is assigned to an arm, and counted there. The zero Request is assigned to none. It belongs to
// the goroutine of its request.
type Request struct {
	tally  *Tally
	now    int64 // of the edge's clock; 0: not said
	shard  int
	users  *Users // that know user
	random uint64 // its place without a key; 0: not drawn yet
	key    uint64 // its place by its key
	keyed  bool
	user   uint64 // of the cookie; 0: none
	give   bool   // the cookie is to be set
	fell   bool   // to the stable pool, where it stays
	hurt   bool   // an attempt at its arm failed
}

// Pick is the index of q's arm in s.Arms, or [Stable]. sticks says that its route keeps clients at their instance. Asked again,
// by a later split, it is the same request: by chance it has the same place.
func (r *Request) Pick(s *Split, q *route.Query, sticks bool) int {
	if r.fell {
		return Stable
	}
	r.keyed = false
	if s.tests(q) {
		return s.tester
	}
	switch {
	case s.user || sticks && s.by.IsZero():
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], r.User(s.users, q))
		r.key, r.keyed = route.Hash(b[:], s.salt), true
	case !s.by.IsZero():
		r.key, r.keyed = s.by.Hash(q, s.salt)
	}
	if r.keyed {
		return s.at(r.key)
	}
	for r.random == 0 {
		r.random = rand.Uint64()
	}
	return s.at(r.random)
}

// At says that it is now by the edge's clock, in nanoseconds that never go back, so that not every request reads the machine's.
func (r *Request) At(now int64) { r.now = now }

// Users reads and signs the cookies of users. Any number of goroutines may use it.
type Users struct {
	signer *sticky.Signer
	clock  wall
}

// wall is the wall clock for who knows how much time has passed: read once in a while, and so at most as old as that. A cookie's
// end is in seconds. Its methods are safe for concurrent use.
type wall struct{ at, seconds atomic.Int64 }

// wallAge is how old an answer of [wall.now] may be. Where somebody sets the clock, it is noticed as soon.
const wallAge = time.Second

// now is the time at an instant of the edge's clock; 0 is one that is not known.
func (w *wall) now(at int64) time.Time {
	if before := w.at.Load(); at != 0 && before != 0 && at-before < int64(wallAge) { // behind it by little, on another loop, is as good
		return time.Unix(w.seconds.Load(), 0)
	}
	now := time.Now()
	w.seconds.Store(now.Unix())
	w.at.Store(at)
	return now
}

// NewUsers has the keys that sign: the current one, and the one before, which may be nil.
func NewUsers(keys [2][]byte) (*Users, error) {
	s, err := sticky.New(cookieScope, keys[0], keys[1])
	return &Users{signer: s}, err
}

// User is the number in q's cookie, or one that is made up and that the answer's cookie gives. It is the same for all that ask.
func (r *Request) User(by *Users, q *route.Query) uint64 {
	if r.user != 0 {
		return r.user
	}
	r.users = by
	if value, ok := q.Cookie(cookieName); ok {
		now := by.clock.now(r.now)
		if c, err := by.signer.Open(value, now); err == nil {
			r.user, r.give = c.Number(), c.Stale(now, cookieAge)
		}
	}
	for r.user == 0 {
		r.user, r.give = rand.Uint64(), true // ChaCha8 of the runtime's: nobody guesses another's, and the signature is what counts
	}
	return r.user
}

// The cookie of a user.
const (
	cookieName  = "semper-user"
	cookieScope = "semper-user"
	cookieAge   = 7 * 24 * time.Hour // set anew when half of it is over
)

// AppendCookie appends the Set-Cookie value by which the client is known again; nothing where it is known, or need not be.
func (r *Request) AppendCookie(dst []byte, tls bool) []byte {
	if !r.give {
		return dst
	}
	var value [96]byte
	c := sticky.Cookie{Name: cookieName, Age: cookieAge, Secure: tls}
	return c.AppendSetCookie(dst, r.users.signer.Append(value[:0], sticky.Tag{r.user}, sticky.Tag{}, time.Now().Add(cookieAge)))
}

// Enter assigns the request to t, which may be nil, for nobody counts it. What was assigned before and has moved without a failure
// is assigned twice.
func (r *Request) Enter(t *Tally, shard int) {
	if r.tally == t || r.fell || r.hurt {
		return
	}
	if r.tally, r.shard = t, shard; t != nil {
		t.of(shard).assigned.Add(1)
	}
}

// Fall says that the arm has nobody for it, or nobody left: it goes to the stable pool.
func (r *Request) Fall() {
	r.fell = true
	if r.tally != nil && !r.hurt {
		r.tally.of(r.shard).missed.Add(1)
		r.tally = nil
	}
}

// Stay says that the request stays at the stable pool, whatever a split says, and is not counted for it.
func (r *Request) Stay() { r.fell = true }

// Fail says that an attempt at an instance of the arm failed.
func (r *Request) Fail() { r.hurt = r.tally != nil }

// End says how the request ended, and in which word the edge refused it, if it did. Later calls say nothing.
func (r *Request) End(how ledger.End, word string, took time.Duration) {
	t := r.tally
	r.tally = nil
	switch {
	case t == nil, how == ledger.Cut:
	case how == ledger.Gone:
		t.of(r.shard).gone.Add(1)
	case how == ledger.Shed && word != refusal.Busy.Word: // by holds and by the edge's own limits, which know no arm
	default:
		t.done(r, took, r.hurt || how != ledger.Served)
	}
}
