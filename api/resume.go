package api

import "semper"

// memory is how many lines of each instance a followed log remembers, to find its place again in a
// stream that begins anew.
const memory = 200

// resumer lets lines of a log through, each once, over streams that broke off and began anew with
// lines that were seen already. One goroutine uses it.
type resumer struct {
	seen map[semper.InstanceID][]string
	held map[semper.InstanceID][]string // lines of a new stream whose place is not known yet
}

func newResumer() *resumer {
	return &resumer{seen: map[semper.InstanceID][]string{}, held: map[semper.InstanceID][]string{}}
}

// again begins a new stream: its first lines of each instance may be old ones.
func (r *resumer) again() {
	clear(r.held)
	for id := range r.seen {
		r.held[id] = []string{}
	}
}

// pass gives the lines to show now that l has come: none while l may be old, several when it turns
// out that those held back were new.
func (r *resumer) pass(l LogLine) []string {
	out := []string{l.Line}
	if held, ok := r.held[l.Instance]; ok {
		held = append(held, l.Line)
		old, decided := overlap(r.seen[l.Instance], held)
		if !decided {
			r.held[l.Instance] = held
			return nil
		}
		delete(r.held, l.Instance)
		out = held[old:]
	}
	seen := append(r.seen[l.Instance], out...)
	r.seen[l.Instance] = append([]string(nil), seen[max(0, len(seen)-memory):]...)
	return out
}

// overlap is how many of the first lines of next are the last of seen, the longest way to see it.
// It is undecided while all of next may lie within seen.
func overlap(seen, next []string) (n int, decided bool) {
	for k := 0; k+len(next) < len(seen); k++ {
		if equal(seen[k:k+len(next)], next) {
			return 0, false
		}
	}
	for n = min(len(seen), len(next)); n > 0; n-- {
		if equal(seen[len(seen)-n:], next[:n]) {
			break
		}
	}
	return n, true
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
