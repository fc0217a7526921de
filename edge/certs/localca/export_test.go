package localca

// Cached is how many certificates are kept.
func (a *Authority) Cached() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.leaves)
}
