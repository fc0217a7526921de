package balance

import "slices"

// Tried are the backends that a request has tried in vain, of many the last ones. The zero Tried is none. It is a value, for one
// request.
type Tried struct {
	n   int
	all [4]*Backend
}

// Add has b among them.
func (t *Tried) Add(b *Backend) {
	switch {
	case slices.Contains(t.All(), b):
		return
	case t.n == len(t.all):
		t.n--
		copy(t.all[:], t.all[1:])
	}
	t.all[t.n] = b
	t.n++
}

// All is what Query.Avoid wants.
func (t *Tried) All() []*Backend { return t.all[:t.n] }
