package http1

import "math"

// maxName bounds a field's name. No name that anybody uses comes near.
const maxName = 256

// A field is one field line: offsets into the head.
type field struct {
	start, name uint32 // the line's begin, the name's end
	from, to    uint32 // the value, without white space around it
	end         uint32 // behind the line's CR LF
	kind        Kind
	drop        bool // named by Connection, or an alias: never forwarded
}

// A head is what requests, responses and trailer sections share: field lines, found once. It holds offsets, and the
// bytes themselves only from the moment the section is whole. Its zero value is ready.
type head struct {
	bytes  []byte
	fields []field
	has    kinds            // kinds that occur
	twice  kinds            // kinds that occur more than once
	first  [numKinds]uint16 // the first field of each kind that occurs
	start  int              // of the line being read
	seen   int              // up to here the line has been looked at
	colon  int              // behind the line's colon; 0 while the name is read
	under  bool             // the line's name has an underscore
}

func (h *head) reset() {
	h.bytes, h.fields = nil, h.fields[:0]
	h.has, h.twice, h.start, h.seen, h.colon = 0, 0, 0, 0, 0
}

// scan reads field lines from h.start on, up to and with the empty line. n is where the section ended; 0 without a
// defect: it goes on behind buf. Whatever pieces the bytes come in, the first byte at fault decides.
func (h *head) scan(buf []byte, lim *Limits) (n int, d defect) {
	for {
		line := buf[:min(len(buf), h.start+lim.Line, lim.Head)]
		i := h.seen
		if h.colon == 0 {
			if i, d = h.scanName(line); i < 0 {
				return 0, h.outcome(line, lim, d)
			}
			if line[i] != ':' {
				return h.blank(line, i, lim)
			}
			if len(h.fields) >= min(lim.Fields, math.MaxUint16) {
				return 0, manyFields
			}
			i++
			h.colon = i
		}
		i = skipValue(line, i)
		h.seen = i
		if i+1 >= len(line) && (i == len(line) || line[i] == '\r') {
			return 0, h.outcome(line, lim, fine)
		}
		if line[i] != '\r' || line[i+1] != '\n' {
			return 0, badEnd(line[i])
		}
		h.add(line, i)
	}
}

// scanName is the index of the byte that ends the name of the line at h.start: a colon, or the CR of an empty line.
// It is negative when there is none, or none yet.
func (h *head) scanName(line []byte) (int, defect) {
	name := line[h.start:min(len(line), h.start+maxName+1)]
	var seen uint8
	for i, c := range name {
		cl := class[c]
		if cl&isToken != 0 {
			seen |= cl
			continue
		}
		switch {
		case c == ':' && i > 0:
			h.under = seen&isUnder != 0
			return h.start + i, fine
		case c == '\r' && i == 0:
			return h.start, fine
		}
		return -1, h.badName(c, i)
	}
	if len(name) > maxName {
		return -1, longLine
	}
	return -1, fine
}

// badName is what c means, the i-th byte of a name, where no name can have it.
func (h *head) badName(c byte, i int) defect {
	switch {
	case c == ':':
		return emptyName
	case (c == ' ' || c == '\t') && i > 0:
		return nameSpace
	case (c == ' ' || c == '\t') && len(h.fields) > 0:
		return folded
	case c == ' ' || c == '\t':
		return earlySpace
	case c == '\n' && i == 0:
		return bareLF
	case c == '\r' || c == '\n':
		return noColon
	}
	return badName
}

// badEnd is what c means, which stands in a value where none can have it.
func badEnd(c byte) defect {
	switch c {
	case '\r':
		return bareCR
	case '\n':
		return bareLF
	}
	return badValue
}

// blank is the outcome at the CR of a line that is empty.
func (h *head) blank(line []byte, i int, lim *Limits) (int, defect) {
	switch {
	case i+1 == len(line):
		return 0, h.outcome(line, lim, fine)
	case line[i+1] != '\n':
		return 0, bareCR
	}
	return i + 2, fine
}

// outcome is d, or what it means that line ends where it does.
func (h *head) outcome(line []byte, lim *Limits, d defect) defect {
	switch {
	case d != fine:
		return d
	case len(line) >= lim.Head:
		return longHead
	case len(line) >= h.start+lim.Line:
		return longLine
	}
	return fine
}

// add notes the line whose CR is at i.
func (h *head) add(line []byte, i int) {
	name := line[h.start : h.colon-1]
	k := kindOf(name)
	from, to := h.colon, i
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	if k != Other {
		if h.has.has(k) {
			h.twice |= 1 << k
		} else {
			h.has |= 1 << k
			h.first[k] = uint16(len(h.fields))
		}
	}

	h.fields = append(h.fields, field{
		start: uint32(h.start), name: uint32(h.colon - 1), from: uint32(from), to: uint32(to), end: uint32(i + 2),
		kind: k, drop: h.under && isAlias(name),
	})
	h.start, h.seen, h.colon = i+2, i+2, 0
}

func (h *head) value(f *field) []byte { return h.bytes[f.from:f.to:f.to] }

// Fields is how many field lines there are.
func (h *head) Fields() int { return len(h.fields) }

// Field is the i-th field line, from 0: its kind, name as it came, and value without the white space around it.
func (h *head) Field(i int) (k Kind, name, value []byte) {
	f := &h.fields[i]
	return f.kind, h.bytes[f.start:f.name:f.name], h.value(f)
}

// Forwards reports whether the i-th field line may go further: not hop-by-hop, not named by Connection, not an alias
// with underscores of a field that steers. It says nothing about trust.
func (h *head) Forwards(i int) bool { return !h.fields[i].drop && !hopByHop.has(h.fields[i].kind) }

// Has reports whether there is a field of kind k, which is not Other.
func (h *head) Has(k Kind) bool { return h.has.has(k) }

// Get is the value of the first field of kind k, which is not Other; nil when there is none.
func (h *head) Get(k Kind) []byte {
	if !h.has.has(k) {
		return nil
	}
	return h.value(&h.fields[h.first[k]])
}

// Lookup is the value of the first field with a name, whatever its case; ok is false when there is none. It looks at
// every field: for a name that has a kind, Get is faster.
func (h *head) Lookup(name string) (value []byte, ok bool) {
	for i := range h.fields {
		f := &h.fields[i]
		if int(f.name-f.start) == len(name) && sameName(h.bytes[f.start:f.name], name) {
			return h.value(f), true
		}
	}
	return nil, false
}

func sameName(a []byte, b string) bool {
	for i, c := range a {
		if c != b[i] && toLower(c) != toLower(b[i]) {
			return false
		}
	}
	return true
}

// Head is the whole of it as it came, with the empty line.
func (h *head) Head() []byte { return h.bytes }

// Rebase tells that the head now stands at the beginning of buf. Whoever moves a head must say so before anything
// else is asked of it.
func (h *head) Rebase(buf []byte) { h.bytes = buf[:len(h.bytes):len(h.bytes)] }
