package actor

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Snapshot is what the processes of a tree handed over: for each its path, the version and the bytes of its state,
// and the messages that can be carried. It is a value of JSON, with a version and a checksum, so that it can go through
// a pipe or a file to another program. Copies of it are the same snapshot. The zero Snapshot is empty. All methods but
// UnmarshalJSON are safe for concurrent use.
type Snapshot struct{ s *snapshot }

type snapshot struct {
	parts []part // sorted by key, never changed
	held  []held // suspended by HandOver; nobody, after a way through JSON
	left  *leftover
}

// A part is what one process handed over.
type part struct {
	Key      string   `json:"key"`
	Version  int      `json:"version"`
	State    []byte   `json:"state"`
	Messages [][]byte `json:"messages,omitempty"`
}

// held is a process that HandOver suspended.
type held struct {
	id      PID
	key     string
	carried int // messages of its mailbox that are in the snapshot too
}

const snapshotVersion = 1

type snapshotJSON struct {
	Version   int    `json:"v"`
	Processes []part `json:"processes"`
	Checksum  string `json:"checksum"`
}

// MarshalJSON implements json.Marshaler.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	parts := s.parts()
	return json.Marshal(snapshotJSON{Version: snapshotVersion, Processes: parts, Checksum: checksum(parts)})
}

// UnmarshalJSON implements json.Unmarshaler. A snapshot of another version, one that was damaged on its way, and one
// with two states for one process are ErrInvalid.
func (s *Snapshot) UnmarshalJSON(text []byte) error {
	var in snapshotJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("%w: snapshot: %w", ErrInvalid, err)
	}
	if in.Version != snapshotVersion {
		return fmt.Errorf("%w: snapshot of version %d, and this program knows version %d: hand over by a program built with this library",
			ErrInvalid, in.Version, snapshotVersion)
	}
	if sum := checksum(in.Processes); sum != in.Checksum {
		return fmt.Errorf("%w: snapshot with checksum %q, and its content has %s: it was cut off or changed on its way; hand over again",
			ErrInvalid, in.Checksum, sum)
	}
	sortParts(in.Processes)
	for i := range in.Processes[min(1, len(in.Processes)):] {
		if key := in.Processes[i].Key; key == in.Processes[i+1].Key {
			return fmt.Errorf("%w: snapshot with two states for %s", ErrInvalid, key)
		}
	}
	s.s = newSnapshot(in.Processes, nil)
	return nil
}

func newSnapshot(parts []part, suspended []held) *snapshot {
	l := &leftover{keys: make([]string, len(parts)), states: make([]uptake, len(parts))}
	for i, p := range parts {
		l.keys[i] = p.Key
	}
	return &snapshot{parts: parts, held: suspended, left: l}
}

func (s Snapshot) parts() []part {
	if s.s == nil {
		return []part{}
	}
	return s.s.parts
}

func sortParts(parts []part) {
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.Key, b.Key) })
}

// checksum is over lengths and contents, so that nothing can move from one field to the next unseen.
func checksum(parts []part) string {
	h := sha256.New()
	number := func(n int) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	field := func(b []byte) { number(len(b)); h.Write(b) }
	number(snapshotVersion)
	number(len(parts))
	for _, p := range parts {
		field([]byte(p.Key))
		number(p.Version)
		field(p.State)
		number(len(p.Messages))
		for _, m := range p.Messages {
			field(m)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Left lists the paths of the processes whose state nobody has taken up: right after HandOver all, and when the
// successors run those of which there is none, or whose Server has no CodeChange. It tells a program which dynamic
// children its predecessor had, too.
func (s Snapshot) Left() []string {
	if s.s == nil {
		return nil
	}
	return s.s.left.list()
}

// Waiting counts, by path, the messages that wait for a suspended process now and are not in the snapshot. They are
// lost to the successor: when the process is shut down, its callers get an *ExitError, and its casts are gone.
func (s Snapshot) Waiting() map[string]int {
	if s.s == nil {
		return nil
	}
	all := make(map[string]int)
	for _, h := range s.s.held {
		if n := h.id.Info().Mailbox - h.carried; n > 0 {
			all[h.key] = n
		}
	}
	return all
}

// Resume takes the hand-over back: the processes go on from where they stood, with the messages that waited. One that
// has ended meanwhile is left out; one that was suspended before HandOver stays so. The error names those of which it
// is not known because ctx ended.
func (s Snapshot) Resume(ctx context.Context) error {
	if s.s == nil {
		return nil
	}
	var errs []error
	for _, h := range s.s.held {
		if err := h.id.Resume(ctx); err != nil && !errors.Is(err, ErrNoProc) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

type estateKey struct{}

// WithHandOver gives the processes that are started with the context, and those that they start, the state of their
// predecessors: the Server of a process whose Path is in the snapshot and that is a CodeChanger has CodeChange called
// after Init and before its start is acknowledged. A state is taken up once: after a crash the process starts afresh.
// When its start fails, in CodeChange or otherwise, the state is there for the next attempt.
func WithHandOver(ctx context.Context, s Snapshot) context.Context {
	if s.s == nil {
		return ctx
	}
	return context.WithValue(ctx, estateKey{}, &estate{left: s.s.left, parts: slices.Clone(s.s.parts)})
}

// leftover is what became of the parts of a snapshot, by their index. All that take from it share it.
type leftover struct {
	keys []string // sorted

	mu     sync.Mutex
	states []uptake
}

// uptake is what became of one part.
type uptake uint8

const (
	free    uptake = iota
	claimed        // a process is starting with it
	taken          // a process has started with it
)

func (l *leftover) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []string
	for i, state := range l.states {
		if state != taken {
			keys = append(keys, l.keys[i])
		}
	}
	return keys
}

// An estate is a snapshot as the successors see it. It lives as long as they do, and so forgets what they have.
type estate struct {
	left  *leftover
	parts []part // guarded by left.mu
}

// An inheritance is the part of an estate that a process is taking up. The nil inheritance is nothing.
type inheritance struct {
	part
	from *estate
	at   int
}

// claim reserves the part of a process; nil when there is none. That somebody else is taking it up is an error, for if
// that one fails, its successor must not have started without it.
func (e *estate) claim(key string) (*inheritance, error) {
	i, ok := slices.BinarySearch(e.left.keys, key)
	if !ok {
		return nil, nil
	}
	e.left.mu.Lock()
	defer e.left.mu.Unlock()
	switch e.left.states[i] {
	case taken:
		return nil, nil
	case claimed:
		return nil, fmt.Errorf("the state of %s is being taken over by another start, which has not come to its end: try again after it", key)
	}
	e.left.states[i] = claimed
	return &inheritance{part: e.parts[i], from: e, at: i}, nil
}

// settle says whether the process that takes it up has started.
func (h *inheritance) settle(started bool) {
	if h == nil {
		return
	}
	l := h.from.left
	l.mu.Lock()
	defer l.mu.Unlock()
	if !started {
		l.states[h.at] = free
		return
	}
	l.states[h.at] = taken
	h.from.parts[h.at] = part{}
}
