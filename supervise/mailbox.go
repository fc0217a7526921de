package supervise

import "sync"

// mailbox is where everything reaches the loop, in one order. Putting never blocks.
type mailbox struct {
	mu     sync.Mutex // guards the following
	items  []input
	closed bool
	wake   chan struct{} // readable when items may not be empty
}

// mailboxKept is how many inputs a mailbox keeps room for when it is empty.
const mailboxKept = 1024

// put adds an input; once the loop has ended, it is dropped.
func (m *mailbox) put(in input) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.items = append(m.items, in)
	m.mu.Unlock()
	m.knock()
}

// knock makes the loop look.
func (m *mailbox) knock() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take swaps what has come for an empty slice to fill.
func (m *mailbox) take(empty []input) []input {
	if cap(empty) > mailboxKept {
		empty = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = empty[:0]
	return items
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items, m.closed = nil, true
}
