package route

import (
	"bytes"

	"semper/internal/inbox"
)

// A Matcher holds rules compiled. It is immutable, and any number of goroutines may use it.
type Matcher struct {
	rules []Rule
	exact map[string]*node // by host
	wild  map[string]*node // by what stands behind "*."
	any   *node
	queue map[string]*Rule // by Match.Queue; nil: there are none
}

// A node is the end of a path of segments from the root, which is "". Rules hang where their paths end.
type node struct {
	parent   *node
	children map[string]*node // by segment, decoded
	exact    []entry          // rules for this path itself; those with more conditions first
	prefix   []entry          // rules for this path and everything below
}

// An entry is a rule at one of its places.
type entry struct {
	rule    *Rule
	scheme  byte // 'h', 's', or 0 for both
	methods []string
	tests   []test
}

// conditions is how many there are, as far as precedence is concerned.
func (e *entry) conditions() int {
	n := len(e.tests)
	if len(e.methods) > 0 {
		n++
	}
	if e.scheme != 0 {
		n++
	}
	return n
}

// Bounds on what can be looked up. Nothing of a valid request or rule is above them: names of hosts have at most 253 bytes,
// and Compile refuses longer segments.
const (
	maxHost    = 255
	maxSegment = 255
)

// Match is the rule for q; nil when there is none. It allocates nothing, but for parameters that have to be decoded the
// first time q is used.
func (m *Matcher) Match(q *Query) *Rule {
	if m.queue != nil && !q.Client.IsValid() {
		if name, ok := q.field(inbox.Field); ok {
			return m.queue[string(name)]
		}
	}
	var buffer [maxHost]byte
	host := q.Host
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > 0 && len(host) <= maxHost && len(m.exact)+len(m.wild) > 0 {
		for i, c := range host {
			buffer[i] = lower(c)
		}
		if r := m.matchHost(buffer[:len(host)], q); r != nil {
			return r
		}
	}
	if m.any == nil {
		return nil
	}
	return m.any.match(q)
}

// matchHost looks where rules have hosts. host is in lower case.
func (m *Matcher) matchHost(host []byte, q *Query) *Rule {
	if n := m.exact[string(host)]; n != nil {
		if r := n.match(q); r != nil {
			return r
		}
	}
	if len(m.wild) == 0 {
		return nil
	}
	for {
		dot := bytes.IndexByte(host, '.')
		if dot < 0 {
			return nil
		}
		host = host[dot+1:]
		if n := m.wild[string(host)]; n != nil {
			if r := n.match(q); r != nil {
				return r
			}
		}
	}
}

// match is the best rule below n, a root, that q meets: down as far as the path leads, then up again.
func (n *node) match(q *Query) *Rule {
	n, whole := n.descend(q.Path)
	if whole {
		if r := first(n.exact, q); r != nil {
			return r
		}
	}
	for ; n != nil; n = n.parent {
		if r := first(n.prefix, q); r != nil {
			return r
		}
	}
	return nil
}

// descend is the last node on path; whole is whether path ends there.
func (n *node) descend(path []byte) (last *node, whole bool) {
	if len(path) == 0 || path[0] != '/' {
		return n, false
	}
	for path = path[1:]; n.children != nil; {
		segment, more := path, false
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			segment, path, more = path[:i], path[i+1:], true
		}
		child := n.child(segment)
		if child == nil {
			return n, false
		}
		if !more {
			return child, true
		}
		n = child
	}
	return n, false
}

// child is the node that a segment, still encoded, leads to.
func (n *node) child(segment []byte) *node {
	if bytes.IndexByte(segment, '%') < 0 {
		return n.children[string(segment)]
	}
	var buffer [maxSegment]byte
	size := 0
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if d, ok := unescape(segment, i); ok {
			c = hideSlash(d)
			i += 2
		}
		if size == len(buffer) {
			return nil
		}
		buffer[size] = c
		size++
	}
	return n.children[string(buffer[:size])]
}

// hideSlash keeps a slash that was encoded from looking like a boundary. No path has a NUL otherwise.
func hideSlash(c byte) byte {
	if c == '/' {
		return 0
	}
	return c
}

// first is the first of entries whose conditions q meets.
func first(entries []entry, q *Query) *Rule {
	for i := range entries {
		if entries[i].met(q) {
			return entries[i].rule
		}
	}
	return nil
}

func (e *entry) met(q *Query) bool {
	if e.scheme != 0 && (e.scheme == 's') != q.TLS {
		return false
	}
	if len(e.methods) > 0 && !e.allows(q.Method) {
		return false
	}
	for i := range e.tests {
		if !e.tests[i].met(q) {
			return false
		}
	}
	return true
}

func (e *entry) allows(method []byte) bool {
	for _, m := range e.methods {
		if string(method) == m || m == "GET" && string(method) == "HEAD" {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Rules are the rules in the order in which they were given to [Compile]. They must not be changed.
func (m *Matcher) Rules() []Rule { return m.rules }
