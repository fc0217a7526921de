package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"semper/supervise"
)

// An Exporter is a Server that can hand its state over to a successor, which may be of another version and in another
// program. Export runs between two callbacks, in the process. The version is that of the form of the bytes. ErrIgnore
// says that there is nothing to hand over: the process then goes on.
type Exporter interface {
	Export() (version int, state []byte, err error)
}

// A CodeChanger is a Server that takes over what the Exporter before it handed over. from is the version that Export
// gave. ErrIgnore says that it starts without, and leaves it; any other error is a failed start.
type CodeChanger interface {
	CodeChange(from int, state []byte) error
}

// A MessageCodec is an Exporter whose waiting casts are handed over too, in order: they are in the mailbox of the
// successor before anything else. A call is not carried, because its caller waits for the process it called.
type MessageCodec[M any] interface {
	EncodeMessage(M) ([]byte, error)
	DecodeMessage([]byte) (M, error)
}

// HandOver takes the state of every process below root whose Server is an [Exporter], for successors that are started
// with [WithHandOver]. It suspends them, the last started first, so that clients come before those they call, and then
// lets each export. All or nothing: when one does not come out of its callback before ctx ends, or cannot export, all
// are resumed and the error says who. ctx should have a deadline.
//
// The processes stay suspended, so that what was exported stays true. Then either shut the tree down and start the
// successors, or take it back with Snapshot.Resume. Processes that are no Exporters go on; a supervisor still restarts
// those that end, and one that ends between its export and the shutdown has been handed over all the same.
//
// What is in the mailboxes: a process that is suspended takes messages and handles none. Casts that wait at its export
// go into the snapshot if its Server is a [MessageCodec]. All other messages end with the process: calls with an
// *ExitError, so that the caller can ask the successor, casts without a word. Snapshot.Waiting says how many there are,
// while there is still a way back.
//
// A process is known by its [PID.Path]; two Exporters with the same are an error.
func HandOver(ctx context.Context, root *supervise.Supervisor) (Snapshot, error) {
	if ctx == nil || root == nil {
		return Snapshot{}, fmt.Errorf("%w: HandOver wants a context and a supervisor", ErrInvalid)
	}
	h := handOver{seen: make(map[PID]bool), keys: make(map[string]PID)}
	err := h.suspend(ctx, root)
	if err == nil {
		err = h.export(ctx)
	}
	if err != nil {
		for _, one := range h.held {
			one.id.p.goOn()
		}
		return Snapshot{}, fmt.Errorf("hand-over, all resumed: %w", err)
	}
	sortParts(h.parts)
	return Snapshot{newSnapshot(h.parts, h.held)}, nil
}

type handOver struct {
	seen  map[PID]bool
	keys  map[string]PID
	all   []PID  // exporters, in the order they were suspended
	held  []held // of all those that were not suspended before
	parts []part
}

// suspend looks again until no process has come that it does not know: one may have been restarted meanwhile.
func (h *handOver) suspend(ctx context.Context, root supervise.Child) error {
	for {
		found := 0
		for _, id := range processes(root, nil) {
			if h.seen[id] {
				continue
			}
			h.seen[id] = true
			found++
			if err := h.suspendOne(ctx, id); err != nil {
				return err
			}
		}
		if found == 0 {
			return nil
		}
	}
}

// processes are those below a child, the last started first.
func processes(c supervise.Child, all []PID) []PID {
	switch c := c.(type) {
	case interface{ PID() PID }:
		return append(all, c.PID())
	case interface{ Children() []supervise.ChildInfo }:
		for _, i := range slices.Backward(c.Children()) {
			if i.Child != nil {
				all = processes(i.Child, all)
			}
		}
	}
	return all
}

func (h *handOver) suspendOne(ctx context.Context, id PID) error {
	exports := false
	look := func(server any) { _, exports = server.(Exporter) }
	if caller(ctx) == id.p { // is in its own callback, and so may look at itself
		if look(id.p.self.behaviour()); exports {
			return fmt.Errorf("suspend %v: %w: hand over from outside the tree", id, ErrCallingSelf)
		}
		return nil
	}
	err := id.State(ctx, look)
	was := id.Info().Status == StatusSuspended
	if err == nil && exports {
		err = id.Suspend(ctx)
	}
	switch {
	case errors.Is(err, ErrNoProc):
		return nil // the next look finds its successor
	case err != nil:
		return fmt.Errorf("suspend: %w", err)
	case !exports:
		return nil
	}
	key := id.Path()
	if !was {
		h.held = append(h.held, held{id: id, key: key})
	}
	if other, twice := h.keys[key]; twice && other.Alive() {
		return fmt.Errorf("%w: %v and %v both have the path %s, so that a successor would not know whose state it gets: give them different labels, or start their supervisors with Under",
			ErrInvalid, other, id, key)
	}
	h.keys[key] = id
	h.all = append(h.all, id)
	return nil
}

func (h *handOver) export(ctx context.Context) error {
	carried, idle := make(map[PID]int), make(map[PID]bool)
	for _, id := range h.all {
		if h.keys[id.Path()] != id {
			continue // it ended while others were suspended, and its successor is here
		}
		one, err := id.p.export(ctx)
		if errors.Is(err, ErrIgnore) {
			idle[id] = true
			continue
		}
		if errors.Is(err, ErrNoProc) {
			return fmt.Errorf("%v (%s) ended meanwhile, hand over again: %w", id, id.Path(), err)
		}
		if err != nil {
			return fmt.Errorf("export of %v (%s): %w", id, id.Path(), err)
		}
		carried[id] = len(one.Messages)
		h.parts = append(h.parts, one)
	}
	h.held = slices.DeleteFunc(h.held, func(one held) bool {
		if idle[one.id] {
			one.id.p.goOn()
		}
		return idle[one.id]
	})
	for i := range h.held {
		h.held[i].carried = carried[h.held[i].id]
	}
	return nil
}

// export runs Export as a control does, but does not wait for one that does not return.
func (p *process) export(ctx context.Context) (part, error) {
	type answer struct {
		part
		err error
	}
	got := make(chan answer, 1)
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return part{}, ErrNoProc
	}
	p.controls = append(p.controls, func() {
		a := answer{err: ctx.Err()}
		done := a.err != nil
		defer func() {
			if !done {
				a.err = panicked(recover())
			}
			got <- a
		}()
		if !done {
			a.part, a.err = p.exported()
			done = true
		}
	})
	p.alarm.Store(true)
	p.wake()
	select {
	case a := <-got:
		return a.part, a.err
	case <-ctx.Done():
		return part{}, fmt.Errorf("is in Export and does not come out: %w", context.Cause(ctx))
	}
}

// exported is what the process hands over; its goroutine only, or when it is dead.
func (p *process) exported() (one part, err error) {
	if !(PID{p}).Alive() {
		return part{}, ErrNoProc
	}
	e, ok := p.self.behaviour().(Exporter)
	if !ok {
		return part{}, fmt.Errorf("its state was replaced by a %T, which has no method Export", p.self.behaviour())
	}
	one.Key = p.path()
	if one.Version, one.State, err = e.Export(); err != nil {
		return part{}, err
	}
	if c, ok := p.self.(carrier); ok {
		one.Messages, err = c.carry()
	}
	return one, err
}

// goOn is Resume without waiting: the process may be stuck in its Export.
func (p *process) goOn() {
	p.mu.Lock()
	p.suspended = false
	p.wake()
}

// A carrier is the typed half of a process, as far as it knows how to hand over messages.
type carrier interface {
	carry() ([][]byte, error)
}

// carry encodes the casts that wait; its goroutine only, while it is suspended.
func (s *Self[M]) carry() ([][]byte, error) {
	codec, ok := s.server.(MessageCodec[M])
	if !ok {
		return nil, nil
	}
	s.mu.Lock()
	var casts []M
	for _, e := range s.batch[s.at:] { // a suspended process may not have put them back yet
		if e.x == nil {
			casts = append(casts, e.m)
		}
	}
	for e := range s.box.all {
		if e.x == nil {
			casts = append(casts, e.m)
		}
	}
	s.mu.Unlock()
	all := make([][]byte, len(casts))
	for i, m := range casts {
		text, err := codec.EncodeMessage(m)
		if err != nil {
			return nil, fmt.Errorf("encode a message that waits: %w", err)
		}
		all[i] = text
	}
	return all, nil
}

// inherit takes up what the predecessor of a process handed over, between Init and the acknowledgement.
func (s *Self[M]) inherit() (h *inheritance, err error) {
	server, ok := s.server.(CodeChanger)
	if !ok {
		return nil, nil
	}
	from, _ := s.base.Value(estateKey{}).(*estate)
	if from == nil {
		return nil, nil
	}
	one, err := from.claim(s.path())
	if one == nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done || err != nil { // a panic goes on to where that of Init does
			one.settle(false)
		}
	}()
	err = server.CodeChange(one.Version, one.State)
	if errors.Is(err, ErrIgnore) {
		one.settle(false)
		done = true
		return nil, nil
	}
	if err == nil {
		err = s.receive(one.Messages)
	}
	done = true
	if err != nil {
		return nil, fmt.Errorf("taking over %s from version %d: %w", one.Key, one.Version, err)
	}
	return one, nil
}

// receive puts the messages of the predecessor in front of all that has come since.
func (s *Self[M]) receive(texts [][]byte) error {
	if len(texts) == 0 {
		return nil
	}
	codec, ok := s.server.(MessageCodec[M])
	if !ok {
		return fmt.Errorf("%w: the predecessor handed over %d messages, and %T has no method DecodeMessage to read them", ErrInvalid, len(texts), s.server)
	}
	batch := make([]envelope[M], len(texts))
	for i, text := range texts {
		m, err := codec.DecodeMessage(text)
		if err != nil {
			return fmt.Errorf("decode a message that waited: %w", err)
		}
		batch[i].m = m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != dead {
		s.box.giveBack(batch)
	}
	return nil
}
