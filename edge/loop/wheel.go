package loop

// A timer is the deadline of one endpoint. It is armed by setting at, which costs nothing while it stands in the wheel
// already: it is put where it belongs when its slot comes.
type timer struct {
	at         int64 // monotonic nanoseconds; 0: none
	prev, next *timer
	owner      *endpoint
	slot       int32 // of the wheel; -1: in none
	due        int64 // the tick of that slot
}

const (
	tick       = int64(32e6) // nanoseconds; no deadline here wants to be kept more exactly
	wheelSlots = 1 << 12     // about two minutes: what is further away goes around again
)

// A wheel keeps timers by the tick they are due in.
type wheel struct {
	slots [wheelSlots]*timer
	used  [wheelSlots / 64]uint64
	done  int64 // the last tick that was looked at
	count int
}

// arm sets t's deadline. One that is put off stays where it stands.
func (w *wheel) arm(t *timer, at int64) {
	t.at = at
	switch {
	case at == 0:
	case t.slot < 0:
		w.insert(t)
	case at/tick+1 < t.due:
		w.remove(t)
		w.insert(t)
	}
}

func (w *wheel) insert(t *timer) {
	due := max(t.at/tick+1, w.done+1)
	due = min(due, w.done+wheelSlots-1)
	i := due % wheelSlots
	t.slot, t.due = int32(i), due
	t.prev, t.next = nil, w.slots[i]
	if t.next != nil {
		t.next.prev = t
	}
	w.slots[i] = t
	w.used[i/64] |= 1 << (i % 64)
	w.count++
}

// remove takes t out; its owner goes.
func (w *wheel) remove(t *timer) {
	if t.slot < 0 {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else if w.slots[t.slot] = t.next; t.next == nil {
		w.used[t.slot/64] &^= 1 << (t.slot % 64)
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.slot = nil, nil, -1
	w.count--
}

// expire calls due for each timer whose deadline has passed.
func (w *wheel) expire(now int64, due func(*endpoint)) {
	last := now / tick
	if w.count == 0 {
		w.done = last
		return
	}
	if last-w.done > wheelSlots {
		w.done = last - wheelSlots
	}
	for w.done < last {
		w.done++
		i := w.done % wheelSlots
		for w.slots[i] != nil {
			t := w.slots[i]
			w.remove(t)
			switch {
			case t.at == 0:
			case t.at > now:
				w.insert(t)
			default:
				t.at = 0
				due(t.owner)
			}
		}
	}
}

// next is in how many milliseconds to look again; -1: nothing waits.
func (w *wheel) next(now int64) int {
	if w.count == 0 {
		return -1
	}
	for d := int64(1); d < wheelSlots; {
		i := (w.done + d) % wheelSlots
		if word := w.used[i/64] >> (i % 64); word == 0 {
			d += 64 - i%64
			continue
		} else if word&1 == 0 {
			d++
			continue
		}
		return int(max((w.done+d)*tick-now, 0)/1e6) + 1
	}
	return int(tick / 1e6)
}
