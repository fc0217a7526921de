package statem

// slot is where a timeout runs: one of each kind, and one for each name.
type slot struct {
	kind Kind
	name any
}

var (
	stateSlot = slot{kind: StateTimeout}
	eventSlot = slot{kind: EventTimeout}
)

// slots holds a T for each slot in use. The two that every machine has stand outside the map: a goroutine is young when
// it handles an event, and what a map does with keys of any type makes its stack grow, which costs more than the event.
// That is also why there are pointers here, and no copies.
type slots[T any] struct {
	fixed [2]struct {
		v  T
		ok bool
	}
	named map[any]*T
}

// get is what is in a slot; nil when it is not in use.
func (s *slots[T]) get(at *slot) *T {
	if at.kind == NamedTimeout {
		return s.find(at.name)
	}
	if f := &s.fixed[at.kind-StateTimeout]; f.ok {
		return &f.v
	}
	return nil
}

//go:noinline
func (s *slots[T]) find(name any) *T {
	if len(s.named) == 0 {
		return nil
	}
	return s.named[name]
}

// use is a place in a slot that was not in use.
func (s *slots[T]) use(at *slot) *T {
	if at.kind == NamedTimeout {
		return s.insert(at.name)
	}
	f := &s.fixed[at.kind-StateTimeout]
	f.ok = true
	return &f.v
}

//go:noinline
func (s *slots[T]) insert(name any) *T {
	if s.named == nil {
		s.named = make(map[any]*T)
	}
	v := new(T)
	s.named[name] = v
	return v
}

func (s *slots[T]) free(at *slot) {
	if at.kind == NamedTimeout {
		delete(s.named, at.name)
		return
	}
	f := &s.fixed[at.kind-StateTimeout]
	f.ok = false
	f.v = *new(T)
}

// all is every slot in use, in no order.
func (s *slots[T]) all(yield func(slot, *T) bool) {
	for i := range s.fixed {
		if f := &s.fixed[i]; f.ok && !yield(slot{kind: StateTimeout + Kind(i)}, &f.v) {
			return
		}
	}
	for name, v := range s.named {
		if !yield(slot{NamedTimeout, name}, v) {
			return
		}
	}
}
