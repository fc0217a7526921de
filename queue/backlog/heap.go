package backlog

// heap is a binary heap whose items know where they are, so that one in its middle can be removed.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
	at    func(T) *int32 // where the item keeps its index plus one; 0 is outside
}

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) first() (item T, ok bool) {
	if len(h.items) == 0 {
		return item, false
	}
	return h.items[0], true
}

// put adds x, or moves it to where it belongs now.
func (h *heap[T]) put(x T) {
	if i := int(*h.at(x)) - 1; i >= 0 {
		h.down(i)
		h.up(int(*h.at(x)) - 1)
		return
	}
	h.items = append(h.items, x)
	*h.at(x) = int32(len(h.items))
	h.up(len(h.items) - 1)
}

// remove does nothing to what is outside.
func (h *heap[T]) remove(x T) {
	i := int(*h.at(x)) - 1
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	*h.at(x) = 0
	if i < last {
		moved := h.items[i]
		h.down(i)
		h.up(int(*h.at(moved)) - 1)
	}
	if cap(h.items) > 1024 && len(h.items) < cap(h.items)/4 {
		h.items = append(make([]T, 0, cap(h.items)/2), h.items...)
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.at(h.items[i]), *h.at(h.items[j]) = int32(i+1), int32(j+1)
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.items[i], h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if r := child + 1; r < len(h.items) && h.less(h.items[r], h.items[child]) {
			child = r
		}
		if !h.less(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}
