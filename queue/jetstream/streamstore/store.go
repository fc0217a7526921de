package streamstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/store"
)

// Options of a store.
type Options struct {
	Stream string // its name; it is there, and takes messages at [Subject] alone
	// Patience is how long a call waits for a server that is away before it is Unavailable. 0: 5 s.
	Patience time.Duration
	// Lease is how long a leader may be unheard of before another may lead. 0: 5 s.
	Lease time.Duration
	// Slack is how many bytes of the stream may be dead beside as many as live. 0: 64 MiB.
	Slack int64
	// AtLeast is a sequence that the stream has had: one that ends before it has lost what was acknowledged.
	AtLeast uint64
	// Doubt is how long a stream has to end too early, or not to be there, before that is believed: a leader that does not
	// know yet that it is none says what was. Meanwhile nothing can be written. 0: 15 s.
	Doubt time.Duration
	Log   *slog.Logger // nil: slog.Default()
}

// Store is a [store.Bulk] over a stream. Its methods are safe for concurrent use; one per process is enough.
type Store struct {
	remote   remote
	limit    int // bytes of a message
	patience time.Duration
	lease    time.Duration
	slack    int64
	doubt    time.Duration
	log      *slog.Logger
	writer   [8]byte // this store's own records
	number   uint64  // of the last one; the writer's

	ctx     context.Context // ends with Close
	end     context.CancelFunc
	wg      sync.WaitGroup
	told    *nats.Subscription
	asks    chan *ask
	look    chan struct{} // holds one when the stream may have moved
	looking sync.Mutex    // held while messages are read into the state

	mu sync.Mutex // guards the following, and orders wg.Go before the wait of Close

	state   *state
	loaded  bool // the state has once been that of the whole stream
	broken  error
	failed  chan struct{} // closed when it is broken
	suspect time.Time     // since when the stream looks as if something was lost; zero: it does not
	atLeast uint64
	moved   chan struct{} // closed and replaced with each message that is applied
	keys    map[string]chan struct{}
	watches map[*watch]bool
	past    past
	recent  recent
	round   *round // of reads, not begun
	asking  bool
	roles   map[string]*leadership // of this process
	heard   map[string]time.Time
	since   time.Time // when the connection last began
	rested  time.Time // before then the stream is not made shorter
}

var _ store.Bulk = (*Store)(nil)

// New is a store over the connection nc, which stays the caller's. It returns at once; calls wait until the stream is read.
func New(nc *nats.Conn, o Options) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: "queue", Err: err}
	}
	s := &Store{
		remote: remote{nc: nc, js: js, name: o.Stream}, limit: int(nc.MaxPayload()),
		patience: orElse(o.Patience, 5*time.Second), lease: orElse(o.Lease, 5*time.Second), slack: orElse(o.Slack, 64<<20), doubt: orElse(o.Doubt, 15*time.Second), log: o.Log,
		asks: make(chan *ask, 1024), look: make(chan struct{}, 1),
		state: newState(), atLeast: o.AtLeast, moved: make(chan struct{}), failed: make(chan struct{}), keys: map[string]chan struct{}{}, watches: map[*watch]bool{},
		recent: recent{messages: map[uint64][]byte{}}, roles: map[string]*leadership{}, heard: map[string]time.Time{}, since: time.Now(),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	_, _ = rand.Read(s.writer[:]) // never fails
	s.ctx, s.end = context.WithCancel(context.Background())
	if s.told, err = nc.Subscribe(toldSubject(o.Stream), s.hear); err != nil {
		s.end()
		return nil, &semper.Error{Code: semper.Unavailable, Op: "queue", Err: err}
	}
	s.wg.Go(s.follow)
	s.wg.Go(s.write)
	s.wg.Go(s.tell)
	return s, nil
}

func orElse[T int64 | time.Duration](given, usual T) T {
	if given > 0 {
		return given
	}
	return usual
}

// Close ends every watch and leadership and returns when nothing of the store runs. Roles are given up if the server
// answers soon; else others have them after the lease.
func (s *Store) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	_ = s.told.Unsubscribe() // it ends with the connection otherwise
	s.wg.Wait()
	return nil
}

// Sequence is that of the last message that is known to be in the stream.
func (s *Store) Sequence() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.state.applied, s.atLeast)
}

// alive is nil while calls have a chance.
func (s *Store) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return store.Closed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

func away(what string, err error) error {
	return &semper.Error{Code: semper.Unavailable, Op: "queue", Message: what, Hint: "look at the nats-server: nats server report jetstream", Err: err}
}

// follow reads what others append, until the store is closed.
func (s *Store) follow() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for rest := 50 * time.Millisecond; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		case <-s.look:
		}
		again := time.Second
		if err := s.catchUp(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Debug("queue: the stream cannot be read; trying again", "error", err)
			rest = min(2*rest, time.Second)
			again = rest
		} else {
			rest = 50 * time.Millisecond
		}
		timer.Reset(again)
	}
}

// catchUp applies all that the stream has now.
func (s *Store) catchUp(ctx context.Context) error {
	s.looking.Lock()
	defer s.looking.Unlock()
	least := s.Sequence() // of before the question: the answer may not have what is appended meanwhile
	first, last, err := s.remote.ends(ctx)
	if f := final(err); f != nil {
		return s.suspected(f)
	}
	if err != nil {
		return err
	}
	if last < least {
		return s.suspected(damagedAt(last, fmt.Sprintf("it is the last one, and %d was acknowledged", least)))
	}
	s.mu.Lock()
	applied := s.state.applied
	s.suspect = time.Time{}
	if applied > 0 && first > applied+1 { // purged behind this process's back: what was deleted there is not known
		s.reloadLocked()
		applied = 0
	}
	s.mu.Unlock()
	for from := max(applied+1, first); from <= last; {
		was := from
		err := s.remote.readFrom(ctx, from, func(seq uint64, message []byte) error {
			from = seq + 1
			return s.take(seq, message)
		})
		if err != nil {
			return err
		}
		if from == was { // a replica that is behind, or a purge meanwhile
			return fmt.Errorf("the server does not give message %d of %d", from, last)
		}
	}
	return s.read(first)
}

// suspected is err, which is believed when it has been so for a while.
func (s *Store) suspected(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspect.IsZero() {
		s.suspect = time.Now()
	}
	if time.Since(s.suspect) >= s.doubt {
		s.breakLocked(err)
	}
	return err
}

// read is that the whole stream, which begins at first, is applied.
func (s *Store) read(first uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded {
		return nil
	}
	if err := s.state.whole(first); err != nil {
		s.breakLocked(err)
		return err
	}
	s.loaded = true
	s.movedLocked()
	return nil
}

func (s *Store) reloadLocked() {
	s.log.Warn("queue: this process was behind a purge of the stream; reading it again")
	s.state, s.loaded, s.past = newState(), false, past{}
	for w := range s.watches {
		w.lose()
	}
	for _, c := range s.keys {
		close(c)
	}
	clear(s.keys)
}

// take applies the message at seq, unless it is applied already.
func (s *Store) take(seq uint64, message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked(seq, message)
}

func (s *Store) takeLocked(seq uint64, message []byte) error {
	if seq <= s.state.applied {
		return nil
	}
	done, err := s.state.apply(seq, message)
	if err != nil {
		s.breakLocked(err)
		return err
	}
	s.recent.put(seq, message)
	for _, h := range done {
		if s.loaded {
			s.past.add(h)
		} else {
			s.past.floor = h.revision
		}
		for _, c := range h.changes {
			if k := s.keys[c.key]; k != nil {
				close(k)
				delete(s.keys, c.key)
			}
		}
		for w := range s.watches {
			w.offer(h)
		}
	}
	s.movedLocked()
	return nil
}

func (s *Store) movedLocked() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// Failed is closed when the stream is no longer used, and Err says why.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err is why the stream is not used, nil while it is.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Refuse ends all use of the stream, because of what its owner has found out.
func (s *Store) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakLocked(err)
}

// breakLocked ends all use of a stream that is not whole.
func (s *Store) breakLocked(err error) {
	if s.broken == nil {
		s.broken = err
		close(s.failed)
		s.log.Error("queue: the stream is not whole; nothing is accepted or done", "stream", s.remote.name, "error", err, "hint", semper.HintOf(err))
		s.movedLocked()
	}
}

// nudge has the stream looked at soon.
func (s *Store) nudge() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// until waits until ok, which is asked under the lock, or until ctx or the store ends.
func (s *Store) until(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		done, err, moved := ok(), s.broken, s.moved
		s.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return store.Closed()
		}
	}
}
