package http1

// maxOptions bounds how many fields Connection may name.
const maxOptions = 32

// settle decides what the fields of a whole head mean.
func (r *Request) settle(lim *Limits) (d defect) {
	if d = r.settleHost(); d != fine {
		return d
	}
	if r.Framing, d = r.declared(); d != fine {
		return d
	}
	switch {
	case r.Minor == 0 && r.Framing.Kind == Chunked:
		return coding10
	case r.Framing.Kind == Length && lim.Body > 0 && r.Framing.Length > lim.Body:
		return largeBody
	case r.Method == TRACE && r.Framing.Kind != NoBody:
		return traceBody
	}
	var o options
	if r.has.has(Connection) {
		if o, d = r.connection(); d != fine {
			return d
		}
	}
	// What an HTTP/1.0 client takes for the end of a message leaves too much to guess for a second one.
	r.KeepAlive = r.Minor == 1 && !o.close
	if r.Minor == 0 {
		r.Unusual |= UnusualVersion
	}
	const rare = 1<<TE | 1<<Expect | 1<<Upgrade
	if r.has&rare == 0 {
		return fine
	}
	r.Trailers = r.lists(TE, "trailers")
	if o.upgrade {
		r.settleUpgrade()
	}
	return r.settleExpect()
}

func (r *Request) settleHost() defect {
	switch {
	case r.twice.has(Host):
		return manyHosts
	case !r.has.has(Host) && r.Minor == 1:
		return noHost
	case !r.has.has(Host):
		return fine
	}
	f := &r.fields[r.first[Host]]
	port, ok := splitHost(r.value(f))
	if !ok {
		return badHost
	}
	if r.host.from == 0 { // the target's host takes precedence
		r.host, r.port = span{f.from, f.to}, f.from+uint32(port)
	}
	return fine
}

// settleExpect: an expectation of HTTP/1.0 is none, and so is one without content behind it.
func (r *Request) settleExpect() defect {
	switch {
	case !r.has.has(Expect) || r.Minor == 0:
		return fine
	case r.twice.has(Expect) || !foldEqual(r.Get(Expect), "100-continue"):
		return badExpect
	case r.Framing.Kind == Chunked || r.Framing.Length > 0:
		r.Unusual |= UnusualExpect
	}
	return fine
}

// settleUpgrade: Connection lists upgrade. One protocol may be asked for, without content, and never HTTP/2: behind it
// requests would pass by every rule of this edge.
func (r *Request) settleUpgrade() {
	if r.Minor == 0 || !r.has.has(Upgrade) || r.twice.has(Upgrade) || r.Framing.Kind == Chunked || r.Framing.Length > 0 {
		return
	}
	f := &r.fields[r.first[Upgrade]]
	if protocol(r.value(f)) {
		r.up = span{f.from, f.to}
		r.Unusual |= UnusualUpgrade
	}
}

// protocol reports whether v is one protocol, with or without version, that may be changed to.
func protocol(v []byte) bool {
	slashes := 0
	for i, c := range v {
		if c == '/' && i > 0 && i < len(v)-1 {
			slashes++
		} else if class[c]&isToken == 0 {
			return false
		}
	}
	return len(v) > 0 && slashes < 2 && !foldEqual(v, "h2c") && !foldEqual(v, "h2")
}

// lists reports whether a comma-separated field of kind k has an element with that name, parameters aside.
func (h *head) lists(k Kind, name string) bool {
	if !h.has.has(k) {
		return false
	}
	for i := int(h.first[k]); i < len(h.fields); i++ {
		if h.fields[i].kind != k {
			continue
		}
		for rest := h.value(&h.fields[i]); rest != nil; {
			var e []byte
			e, rest = element(rest)
			for j, c := range e {
				if c == ';' {
					e = trim(e[:j])
					break
				}
			}
			if foldEqual(e, name) {
				return true
			}
		}
	}
	return false
}

// options are what Connection says beside names of fields.
type options struct{ close, upgrade bool }

// connection reads all lines of Connection as one list, and marks the fields it names. What is no token names nothing.
func (h *head) connection() (o options, d defect) {
	named := 0
	for i := int(h.first[Connection]); i < len(h.fields); i++ {
		if h.fields[i].kind != Connection {
			continue
		}
		for rest := h.value(&h.fields[i]); rest != nil; {
			var e []byte
			e, rest = element(rest)
			switch {
			case len(e) == 0, foldEqual(e, "keep-alive"):
			case foldEqual(e, "close"):
				o.close = true
			case foldEqual(e, "upgrade"):
				o.upgrade = true
			default:
				if named++; named > maxOptions {
					return o, manyOptions
				}
				h.name(e)
			}
		}
	}
	return o, fine
}

// name marks the fields that Connection names e. The few that a message cannot do without stay.
func (h *head) name(e []byte) {
	for i := range h.fields {
		f := &h.fields[i]
		if int(f.name-f.start) == len(e) && !unnameable.has(f.kind) && sameToken(h.bytes[f.start:f.name], e) {
			f.drop = true
		}
	}
}
