package route

import (
	"bytes"
	"fmt"
	"net/textproto"
	"regexp"
)

// A test is a condition made ready.
type test struct {
	Condition
	re *regexp.Regexp // of Matches
}

// ready compiles a condition.
func (c Condition) ready() (test, error) {
	t := test{Condition: c}
	switch {
	case c.In > InQuery || c.Test > Matches:
		return t, fmt.Errorf("condition on %q: there is no such place or test", c.Name)
	case c.Name == "":
		return t, fmt.Errorf("a condition has no name: name the field, cookie or parameter")
	case c.In == InField:
		if !isToken(c.Name) {
			return t, fmt.Errorf("%q is not the name of a field: letters, digits and dashes", c.Name)
		}
		t.Name = textproto.CanonicalMIMEHeaderKey(c.Name)
	case c.In == InCookie && !isToken(c.Name):
		return t, fmt.Errorf("%q is not the name of a cookie: letters, digits, dashes and underscores", c.Name)
	}
	if c.Test == Matches {
		re, err := regexp.Compile(c.Value)
		if err != nil {
			return t, fmt.Errorf("the pattern for %s cannot be compiled: %w", c.Name, err)
		}
		t.re = re
	}
	return t, nil
}

// Conditions are some, made ready. Any number of goroutines may use them.
type Conditions []test

// Ready makes conditions ready to be met.
func Ready(all []Condition) (Conditions, error) {
	ready := make(Conditions, len(all))
	for i, c := range all {
		var err error
		if ready[i], err = c.ready(); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// Met reports whether q meets all of them.
func (c Conditions) Met(q *Query) bool {
	for i := range c {
		if !c[i].met(q) {
			return false
		}
	}
	return true
}

// met reports whether q meets the condition.
func (t *test) met(q *Query) bool {
	found := false
	switch t.In {
	case InField:
		found = t.inFields(q)
	case InCookie:
		found = t.inCookies(q)
	case InQuery:
		found = t.inQuery(q)
	}
	return found != (t.Test == Absent)
}

func (t *test) inFields(q *Query) bool {
	if q.Fields == nil {
		return false
	}
	for i := 0; ; i++ {
		v, ok := q.Fields.Value(t.Name, i)
		if !ok {
			return false
		}
		if t.accepts(v) {
			return true
		}
	}
}

func (t *test) inCookies(q *Query) bool {
	for c := q.cookies(); ; {
		n, v, more := c.next()
		if !more {
			return false
		}
		if string(n) == t.Name && t.accepts(v) {
			return true
		}
	}
}

func (t *test) inQuery(q *Query) bool {
	for rest := q.Query; rest != nil; {
		var n, v []byte
		n, v, rest = nextParameter(rest)
		if string(q.decode(n)) == t.Name && t.accepts(q.decode(v)) {
			return true
		}
	}
	return false
}

// accepts looks at one value. Absent accepts any, for met to turn around.
func (t *test) accepts(v []byte) bool {
	switch t.Test {
	case Equal:
		return string(v) == t.Value
	case Prefix:
		return len(v) >= len(t.Value) && string(v[:len(t.Value)]) == t.Value
	case Matches:
		return t.re.Match(v)
	}
	return true
}

// cookies goes through the cookies of all Cookie lines.
type cookies struct {
	fields Reader
	line   int
	rest   []byte
}

func (q *Query) cookies() cookies { return cookies{fields: q.Fields} }

// next is the next cookie. What is no pair is passed over.
func (c *cookies) next() (name, value []byte, ok bool) {
	for {
		for len(c.rest) > 0 {
			var pair []byte
			if i := bytes.IndexByte(c.rest, ';'); i >= 0 {
				pair, c.rest = c.rest[:i], c.rest[i+1:]
			} else {
				pair, c.rest = c.rest, nil
			}
			if i := bytes.IndexByte(pair, '='); i >= 0 {
				return trim(pair[:i]), trim(pair[i+1:]), true
			}
		}
		if c.fields == nil {
			return nil, nil, false
		}
		line, more := c.fields.Value("Cookie", c.line)
		if !more {
			return nil, nil, false
		}
		c.rest = line
		c.line++
	}
}

// trim takes spaces and tabs off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// nextParameter cuts the first parameter off a query; rest is nil after the last.
func nextParameter(query []byte) (name, value, rest []byte) {
	name = query
	if i := bytes.IndexByte(query, '&'); i >= 0 {
		name, rest = query[:i], query[i+1:]
	}
	if i := bytes.IndexByte(name, '='); i >= 0 {
		name, value = name[:i], name[i+1:]
	}
	return name, value, rest
}

// decode is b with + as a space and percent-encoding undone; what is no encoding stays. The result is b itself, or lies
// in q and is valid until the next call.
func (q *Query) decode(b []byte) []byte {
	plain := true
	for _, c := range b {
		if c == '%' || c == '+' {
			plain = false
			break
		}
	}
	if plain {
		return b
	}
	q.scratch = q.scratch[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '+' {
			c = ' '
		} else if d, ok := unescape(b, i); ok {
			c = d
			i += 2
		}
		q.scratch = append(q.scratch, c)
	}
	return q.scratch
}

// unescape is the byte that the three at b[i] stand for, if they are a percent-encoding.
func unescape[B []byte | string](b B, i int) (c byte, ok bool) {
	if b[i] != '%' || i+2 >= len(b) {
		return 0, false
	}
	high, ok1 := nibble(b[i+1])
	low, ok2 := nibble(b[i+2])
	return high<<4 | low, ok1 && ok2
}

func nibble(c byte) (v byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
