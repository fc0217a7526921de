package statem

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"semper/actor"
)

// Kind says how an event came.
type Kind uint8

// The kinds of event. A message keeps its kind when it is postponed and tried again.
const (
	Message      Kind = iota // sent to the process, by Cast or Call
	Internal                 // by NextEvent
	StateTimeout             // by StateTimeout
	EventTimeout             // by EventTimeout
	NamedTimeout             // by Timeout
	Info                     // what comes besides messages: actor.Down, actor.Exit
)

func (k Kind) String() string {
	if names := [...]string{"message", "internal", "state timeout", "event timeout", "timeout", "info"}; int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A Turn is the handling of one event, as the callback sees it: where the machine is, what came, and what is to follow.
// What is asked of it happens when the callback has returned nil, in the order it was asked for; a callback that returns
// an error asks for nothing. Of several things asked of one timeout only the last counts. The same Turn serves all callbacks of a machine: it must not be kept, nor given to another
// goroutine.
//
// A Turn is the context.Context of the process, for calls to others: it ends when the process is asked to end.
type Turn[S comparable, M any] struct {
	asked    decision[S, M]
	core     *core[S, M]
	self     *actor.Self[M]
	event    *event[M] // nil when there is none: in Init, and at the first Enter
	callback callback
	misuse   error // the first
}

// callback says which one runs, or which ones may ask for something.
type callback uint8

const (
	handling callback = 1 << iota // of an event
	initial                       // Init
	entering                      // Enter
	ending                        // Terminate
)

func (c callback) String() string {
	var names []string
	for i, name := range []string{"Handle", "Init", "Enter", "Terminate"} {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// State is the state of the machine. In Enter it is the new one; everywhere else a Goto does not change it before the
// callback has returned.
func (t *Turn[S, M]) State() S { return t.core.state }

// Kind says how the event came. In Enter it is the event that led to the state; at the start, Internal.
func (t *Turn[S, M]) Kind() Kind {
	if t.event == nil {
		return Internal
	}
	return t.event.kind
}

// TimeoutName is the name of the NamedTimeout that is handled, and nil for anything else.
func (t *Turn[S, M]) TimeoutName() any {
	if t.event == nil {
		return nil
	}
	return t.event.name
}

// Self is the process: for monitors and links, its Ref, its PID. Do not use its Continue, which machines know as
// NextEvent, nor its Timeout, which they know as EventTimeout.
func (t *Turn[S, M]) Self() *actor.Self[M] { return t.self }

// Goto changes the state when the callback has returned. With the state it is in already it asks for nothing: the
// machine keeps its state. The last Goto counts. In Init it says which is the first state. Enter must not ask for it.
func (t *Turn[S, M]) Goto(next S) {
	if t.may("Goto", handling|initial) {
		t.asked.next, t.asked.moved = next, true
	}
}

// Repeat calls Enter for the state it is in once more, and does nothing else: nothing that was postponed is tried
// again, and the timeout of the state goes on. With a Goto to another state it has no effect, which enters anyhow.
func (t *Turn[S, M]) Repeat() {
	if t.may("Repeat", handling) {
		t.asked.repeat = true
	}
}

// Postpone puts the event aside until the state changes. What is postponed is tried again after the change, oldest
// first, after the next events of that turn and before anything else. A call that is postponed is answered later, or by
// the end of the process.
func (t *Turn[S, M]) Postpone() {
	if t.may("Postpone", handling) {
		t.asked.postpone = true
	}
}

// NextEvent makes m the next event to be handled: before those that are queued already, and before anything that has
// been received. The first of several is handled first.
func (t *Turn[S, M]) NextEvent(m M) {
	if t.may("NextEvent", handling|initial) {
		t.asked.events = append(t.asked.events, m)
	}
}

// StateTimeout makes m an event when the machine has stayed in its state for d. A change of the state cancels it, and so
// does another StateTimeout. Asked for together with a Goto, it belongs to the state gone to. When d is zero, or less as
// that of a deadline that is over, m comes as soon as the queue is empty, before anything that is received.
func (t *Turn[S, M]) StateTimeout(d time.Duration, m M) { t.ask(set, stateSlot, d, m) }

// UpdateStateTimeout changes what a running StateTimeout will bring, and not when. With none running it comes as soon as
// the queue is empty.
func (t *Turn[S, M]) UpdateStateTimeout(m M) { t.ask(update, stateSlot, 0, m) }

// CancelStateTimeout takes a StateTimeout back. It will not come, also when its time was over already.
func (t *Turn[S, M]) CancelStateTimeout() { t.cancel(stateSlot) }

// EventTimeout makes m an event when no other is handled within d. Any event cancels it, which is why there is no
// other way to. Zero or less means: if nothing is in the queue.
func (t *Turn[S, M]) EventTimeout(d time.Duration, m M) { t.ask(set, eventSlot, d, m) }

// Timeout makes m an event after d, whatever the machine does meanwhile. The name tells it from other timeouts: asking
// again under a name that runs starts it anew. A name can be any comparable value. Zero or less means: as soon as the
// queue is empty, before anything that is received.
func (t *Turn[S, M]) Timeout(name any, d time.Duration, m M) {
	t.ask(set, slot{NamedTimeout, name}, d, m)
}

// UpdateTimeout changes what a running Timeout will bring, and not when. With none running it comes as soon as the
// queue is empty.
func (t *Turn[S, M]) UpdateTimeout(name any, m M) { t.ask(update, slot{NamedTimeout, name}, 0, m) }

// CancelTimeout takes a Timeout back. It will not come, also when its time was over already.
func (t *Turn[S, M]) CancelTimeout(name any) { t.cancel(slot{NamedTimeout, name}) }

func (t *Turn[S, M]) cancel(at slot) {
	var none M
	t.ask(cancel, at, 0, none)
}

func (t *Turn[S, M]) ask(v verb, at slot, in time.Duration, m M) {
	if at.kind == NamedTimeout && !reflect.ValueOf(at.name).Comparable() {
		t.misused("the name of a timeout is a %T, want something comparable, such as a string", at.name)
		return
	}
	if t.may("a timeout", handling|initial|entering) {
		t.asked.timeouts = append(t.asked.timeouts, request[M]{at: at, verb: v, in: in, m: m})
	}
}

// may reports whether the callback that runs is one that may ask for what. What it may not is a fault of the program: it
// ends the process when the callback has returned.
func (t *Turn[S, M]) may(what string, only callback) bool {
	if t.callback&only != 0 {
		return true
	}
	if t.callback != ending { // the process ends anyhow
		t.misused("%v asked for %s, which is for %v only", t.callback, what, only)
	}
	return false
}

func (t *Turn[S, M]) misused(format string, args ...any) {
	if t.misuse == nil {
		t.misuse = fmt.Errorf("%w: "+format, append([]any{actor.ErrInvalid}, args...)...)
	}
}

// Deadline implements context.Context: a process has none.
func (t *Turn[S, M]) Deadline() (time.Time, bool) { return t.self.Deadline() }

// Done implements context.Context.
func (t *Turn[S, M]) Done() <-chan struct{} { return t.self.Done() }

// Err implements context.Context.
func (t *Turn[S, M]) Err() error { return t.self.Err() }

// Value implements context.Context.
func (t *Turn[S, M]) Value(key any) any { return t.self.Value(key) }

var _ context.Context = (*Turn[int, any])(nil)
