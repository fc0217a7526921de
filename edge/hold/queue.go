package hold

// links are a waiter's neighbours in one queue.
type links struct{ before, next *Waiter }

// A queue is waiters in the order in which they came. It is linked through them, so that waiting costs no memory of its own.
type queue struct {
	first, last *Waiter
	n           int
	bytes       int64
}

// The links of a waiter that are a queue's.
func byArrival(w *Waiter) *links { return &w.line }
func byClass(w *Waiter) *links   { return &w.peer }

// put puts w where it belongs, which is nearly always the end or, for one that comes back, near the beginning.
func (q *queue) put(w *Waiter, of func(*Waiter) *links) {
	before := q.last
	if q.first != nil && w.seq < q.first.seq {
		before = nil
	}
	for before != nil && before.seq > w.seq {
		before = of(before).before
	}
	next := q.first
	if before != nil {
		next = of(before).next
		of(before).next = w
	} else {
		q.first = w
	}
	if next != nil {
		of(next).before = w
	} else {
		q.last = w
	}
	*of(w) = links{before, next}
	q.n++
	q.bytes += w.Bytes
}

func (q *queue) remove(w *Waiter, of func(*Waiter) *links) {
	at := *of(w)
	if at.before != nil {
		of(at.before).next = at.next
	} else {
		q.first = at.next
	}
	if at.next != nil {
		of(at.next).before = at.before
	} else {
		q.last = at.before
	}
	*of(w) = links{}
	q.n--
	q.bytes -= w.Bytes
}
