package trace

import (
	"bytes"
	"slices"
)

// maxMembers bounds the entries of a tracestate over all its lines.
const maxMembers = 32

// An Incoming takes the trace context of one request from its field lines, in the order they came. The zero Incoming is
// ready; Reset makes it ready for the next request. It keeps nothing of the slices it is given, and belongs to one goroutine.
type Incoming struct {
	context  Context
	parents  int // traceparent lines
	valid    bool
	states   int // tracestate lines
	badState bool
	keys     []uint64 // hashes of the keys seen; most requests have none
}

// Reset forgets the request.
func (in *Incoming) Reset() {
	in.context, in.parents, in.valid = Context{}, 0, false
	in.states, in.badState, in.keys = 0, false, in.keys[:0]
}

// Traceparent takes the value of a traceparent line. A second one makes the context invalid.
func (in *Incoming) Traceparent(v []byte) {
	in.parents++
	in.context, in.valid = Parse(v)
	in.valid = in.valid && in.parents == 1
}

// Tracestate takes the value of a tracestate line; several are one list.
func (in *Incoming) Tracestate(v []byte) {
	in.states++
	for len(v) > 0 && !in.badState {
		var member []byte
		if i := bytes.IndexByte(v, ','); i >= 0 {
			member, v = v[:i], v[i+1:]
		} else {
			member, v = v, nil
		}
		if member = trim(member); len(member) > 0 {
			in.badState = !in.member(member)
		}
	}
}

// member reports whether m may be the next entry of the list.
func (in *Incoming) member(m []byte) bool {
	i := bytes.IndexByte(m, '=')
	if i < 0 || len(in.keys) == maxMembers || !key(m[:i]) || !value(m[i+1:]) {
		return false
	}
	// Of two keys with one hash, which happens by intent alone, the sender has an entry of its own dropped.
	h := hash(m[:i])
	if slices.Contains(in.keys, h) {
		return false
	}
	in.keys = append(in.keys, h)
	return true
}

// A Verdict says what becomes of a request's trace fields on their way to the instance.
type Verdict uint8

// The verdicts.
const (
	// Start: what came is dropped, tracestate with it, and the new context is sent as the one traceparent.
	Start Verdict = iota
	// Keep: all lines are forwarded as they came.
	Keep
	// KeepParent: traceparent is forwarded as it came; tracestate, which is invalid, is dropped.
	KeepParent
)

// Decide tells the context of the request and what becomes of its fields. A trace that is started is sampled if s says so.
func (in *Incoming) Decide(s Sampler) (Context, Verdict) {
	switch {
	case !in.valid:
		c := New()
		if s.Keep(c) {
			c.Flags |= Sampled
		}
		return c, Start
	case in.badState:
		return in.context, KeepParent
	}
	return in.context, Keep
}

// key reports whether k is a key: a simple one, or "tenant@system".
func key(k []byte) bool {
	at := bytes.IndexByte(k, '@')
	if at < 0 {
		return len(k) <= 256 && word(k) && lower(k[0])
	}
	tenant, system := k[:at], k[at+1:]
	return len(tenant) <= 241 && word(tenant) && (lower(tenant[0]) || digit(tenant[0])) &&
		len(system) <= 14 && word(system) && lower(system[0])
}

// word reports whether w is one or more of the bytes that keys are made of.
func word(w []byte) bool {
	for _, c := range w {
		if !lower(c) && !digit(c) && c != '_' && c != '-' && c != '*' && c != '/' {
			return false
		}
	}
	return len(w) > 0
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }

// value reports whether v is a value. Blanks at its end were whitespace around the entry and are gone already.
func value(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c > '~' || c == ',' || c == '=' {
			return false
		}
	}
	return 0 < len(v) && len(v) <= 256
}

// hash is FNV-1a.
func hash(k []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range k {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
