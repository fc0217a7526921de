package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// What Attach and Detach answer; steer by errors.Is.
var (
	// ErrAlreadyExists says that a handler of this id is attached. Detach it first, or choose another id.
	ErrAlreadyExists = errors.New("a handler of this id is attached already: detach it first, or use another id")
	// ErrNotFound says that no handler of this id is attached, maybe because it panicked.
	ErrNotFound = errors.New("no handler of this id is attached")
	// ErrInvalid says that an argument has no meaning; the text says which and what is wanted.
	ErrInvalid = errors.New("invalid argument")
)

// An Event is what a handler gets: what happened, how much of it, and around what.
type Event struct {
	Name         string // words joined by dots: "shop.order.placed"
	Measurements any    // numbers, most often a struct: what a metric is made of
	Metadata     any    // all else, most often a struct: what a metric is divided by
	Config       any    // what the handler was attached with
}

// A Handler does something with an event. It runs in the goroutine of the one who emits the event, who waits for it: it
// should be quick, and hand on what takes long. It may be called by many goroutines at a time. When it panics it is
// detached.
type Handler func(ctx context.Context, e Event)

// A Bus leads events to the handlers that are attached to them. The zero Bus is ready to use; it must not be copied
// after that. All methods are safe for concurrent use.
//
// Attaching and detaching make a new list of the handlers of each event concerned; executing reads lists without a lock.
// An event that is under way while its handlers change goes to those that there were when it began.
type Bus struct {
	mu     sync.Mutex                       // held by who changes anything
	byID   map[string]*attached             // guarded by mu
	events atomic.Pointer[map[string]*cell] // nil at first; copied to be changed
}

// Default is the bus of the functions of the package, and of emitters that are made without one.
var Default = &Bus{}

// cell is one event: who gets it. Emitters hold on to the cell of their event, so that they look nothing up.
type cell struct {
	bus  *Bus
	name string
	kept bool                        // by an emitter: it stays when its last handler goes; guarded by bus.mu
	some uint32                      // not 0 when to is not empty; atomic, and a plain number so that asking it is inlined
	to   atomic.Pointer[[]*attached] // in the order of attaching; nil when empty, copied to be changed
}

// attached is one handler.
type attached struct {
	id      string
	names   []string
	handler Handler
	typed   any // of Emitter.Attach: a func(context.Context, M, D)
	config  any
}

// An Attachment is one handler on one event, as List shows it.
type Attachment struct {
	ID      string
	Event   string
	Config  any
	Handler Handler
}

// Attach makes handler get the events of one name. The id is for Detach and must not be in use on this bus:
// ErrAlreadyExists.
func (b *Bus) Attach(id, event string, handler Handler, config any) error {
	return b.attach(&attached{id: id, names: []string{event}, handler: handler, config: config})
}

// AttachMany makes handler get the events of all the names, under one id: one Detach, or one panic, ends them all.
func (b *Bus) AttachMany(id string, events []string, handler Handler, config any) error {
	names := slices.Clone(events)
	slices.Sort(names)
	return b.attach(&attached{id: id, names: slices.Compact(names), handler: handler, config: config})
}

func (b *Bus) attach(a *attached) error {
	switch {
	case a.id == "":
		return fmt.Errorf("%w: a handler wants an id to be detached by", ErrInvalid)
	case a.handler == nil:
		return fmt.Errorf("%w: the handler %s is nil", ErrInvalid, a.id)
	case len(a.names) == 0 || slices.Contains(a.names, ""):
		return fmt.Errorf("%w: the handler %s wants the names of its events, none of them empty", ErrInvalid, a.id)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID[a.id] != nil {
		return fmt.Errorf("attach %s: %w", a.id, ErrAlreadyExists)
	}
	if b.byID == nil {
		b.byID = map[string]*attached{}
	}
	b.byID[a.id] = a
	for _, n := range a.names {
		c := b.enter(n)
		c.set(append(slices.Clip(c.list()), a))
	}
	return nil
}

// Detach takes a handler off all its events. A call of it that is under way in another goroutine goes on.
func (b *Bus) Detach(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.byID[id]
	if a == nil {
		return fmt.Errorf("detach %s: %w", id, ErrNotFound)
	}
	b.remove(a)
	return nil
}

// drop detaches exactly this handler, not another that has its id by now, and reports whether it was there.
func (b *Bus) drop(a *attached) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID[a.id] != a {
		return false
	}
	b.remove(a)
	return true
}

// remove is called with mu held.
func (b *Bus) remove(a *attached) {
	delete(b.byID, a.id)
	for _, n := range a.names {
		c := b.find(n)
		c.set(slices.DeleteFunc(slices.Clone(c.list()), func(other *attached) bool { return other == a }))
		if c.some == 0 && !c.kept {
			next := maps.Clone(*b.events.Load())
			delete(next, n)
			b.events.Store(&next)
		}
	}
}

// find is the cell of an event, or nil.
func (b *Bus) find(event string) *cell {
	if all := b.events.Load(); all != nil {
		return (*all)[event]
	}
	return nil
}

// enter is find, and makes the cell when there is none; mu is held.
func (b *Bus) enter(event string) *cell {
	if c := b.find(event); c != nil {
		return c
	}
	next := map[string]*cell{}
	if all := b.events.Load(); all != nil {
		next = maps.Clone(*all)
	}
	c := &cell{bus: b, name: event}
	next[event] = c
	b.events.Store(&next)
	return c
}

// set is called with the bus's mu held.
func (c *cell) set(to []*attached) {
	if len(to) == 0 {
		c.to.Store(nil)
		atomic.StoreUint32(&c.some, 0)
		return
	}
	c.to.Store(&to)
	atomic.StoreUint32(&c.some, 1)
}

func (c *cell) listening() bool { return c != nil && atomic.LoadUint32(&c.some) != 0 }

// list is who gets the event. It is not to be changed.
func (c *cell) list() []*attached {
	if to := c.to.Load(); to != nil {
		return *to
	}
	return nil
}

// List tells what is attached to the events that begin with the words of prefix: "shop.order" stands for itself and for
// "shop.order.placed", but not for "shop.orders". The empty prefix stands for all. It is sorted by event, and then in
// the order in which the handlers are called.
func (b *Bus) List(prefix string) []Attachment {
	events := b.events.Load()
	if events == nil {
		return nil
	}
	var all []Attachment
	for n, c := range *events {
		if prefix != "" && n != prefix && !strings.HasPrefix(n, prefix+".") {
			continue
		}
		for _, a := range c.list() {
			all = append(all, Attachment{ID: a.id, Event: n, Config: a.config, Handler: a.handler})
		}
	}
	slices.SortStableFunc(all, func(x, y Attachment) int { return cmp.Compare(x.Event, y.Event) })
	return all
}

// Listening reports whether anything is attached to the event: what is costly to find out may be left out otherwise.
func (b *Bus) Listening(event string) bool { return b.find(event).listening() }

// Execute calls all handlers of the event, one after the other in the order of attaching, and returns when they have. A
// handler that panics is detached and does not keep the others from being called: see FailureEvent. An [Emitter] does
// the same faster, and with types.
func (b *Bus) Execute(ctx context.Context, event string, measurements, metadata any) {
	c := b.find(event)
	if !c.listening() {
		return
	}
	for _, a := range c.list() {
		b.call(ctx, a, Event{Name: event, Measurements: measurements, Metadata: metadata, Config: a.config})
	}
}

func (b *Bus) call(ctx context.Context, a *attached, e Event) {
	done := false
	defer b.caught(ctx, a, e.Name, &done)
	a.handler(ctx, e)
	done = true
}

// Attach is Attach on the Default bus.
func Attach(id, event string, handler Handler, config any) error {
	return Default.Attach(id, event, handler, config)
}

// AttachMany is AttachMany on the Default bus.
func AttachMany(id string, events []string, handler Handler, config any) error {
	return Default.AttachMany(id, events, handler, config)
}

// Detach is Detach on the Default bus.
func Detach(id string) error { return Default.Detach(id) }

// List is List on the Default bus.
func List(prefix string) []Attachment { return Default.List(prefix) }

// Execute is Execute on the Default bus.
func Execute(ctx context.Context, event string, measurements, metadata any) {
	Default.Execute(ctx, event, measurements, metadata)
}
