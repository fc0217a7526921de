package http1

import (
	"bytes"
	"encoding/binary"
)

// maxMethod bounds a method's name; the longest registered one has 17 bytes.
const maxMethod = 32

// requestLine reads as far as it can, stage by stage. Each stage remembers how far it came.
func (r *Request) requestLine(buf []byte, lim *Limits) (d defect) {
	for stage := r.stage; ; stage = r.stage {
		switch stage {
		case atMethod:
			d = r.readMethod(buf)
		case atTarget:
			d = r.readPath(buf, lim)
		case atQuery, atAbsolute:
			d = r.readRest(buf, lim)
		case atVersion:
			d = r.readVersion(buf, lim)
		default:
			return fine
		}
		if d != fine || r.stage == stage {
			return d
		}
	}
}

func (r *Request) readMethod(buf []byte) defect {
	if r.start == 0 && len(buf) > 0 && buf[0] == '\r' { // one empty line before a request is forgiven (RFC 9112, 2.2)
		if len(buf) == 1 {
			return fine
		}
		if buf[1] != '\n' {
			return bareCR
		}
		r.start = 2
	}
	rest := buf[r.start:]
	for i, c := range rest[:min(len(rest), maxMethod+1)] {
		switch {
		case c == ' ' && i > 0:
			r.method = span{uint32(r.start), uint32(r.start + i)}
			if r.Method = methodOf(rest[:i]); r.Method == OtherMethod && string(rest[:i]) == "CONNECT" {
				return tunnel
			}
			r.start += i + 1
			r.seen, r.stage = r.start, atTarget
			return fine
		case class[c]&isToken == 0 && i == 0:
			return notHTTP
		case class[c]&isToken == 0:
			return badMethod
		}
	}
	if len(rest) > maxMethod {
		return longMethod
	}
	return fine
}

// inTarget cuts buf behind what may be of the target.
func (r *Request) inTarget(buf []byte, lim *Limits) []byte {
	return buf[:min(len(buf), r.start+lim.Target+1)]
}

// more is what it means that the target goes on behind line.
func (r *Request) more(line []byte, lim *Limits) defect {
	if len(line) > r.start+lim.Target {
		return longTarget
	}
	r.seen = len(line)
	return fine
}

// readPath reads a path up to the question mark or space behind it.
func (r *Request) readPath(buf []byte, lim *Limits) defect {
	line := r.inTarget(buf, lim)
	i, marks := r.seen, r.marks
	if i == r.start && i < len(line) && line[i] != '/' {
		return r.otherForm(line)
	}
	for i < len(line) && class[line[i]]&isPath != 0 {
		marks |= class[line[i]]
		i++
	}
	r.marks = marks
	if i == len(line) {
		return r.more(line, lim)
	}
	r.path = span{uint32(r.start), uint32(i)}
	switch line[i] {
	case '?':
		r.HasQuery = true
		r.query.from = uint32(i + 1)
		r.seen, r.stage = i+1, atQuery
		return fine
	case ' ':
		return r.endTarget(line, i)
	}
	return badTarget
}

// otherForm begins a target that is no path.
func (r *Request) otherForm(line []byte) defect {
	switch c := line[r.start]; {
	case c == '*' && r.Method != OPTIONS:
		return asterisk
	case c == '*' || c|0x20 == 'h':
		r.stage = atAbsolute
		return fine
	}
	return badTarget
}

// readRest reads a query, or a whole target that is no path, up to the space behind it.
func (r *Request) readRest(buf []byte, lim *Limits) defect {
	line := r.inTarget(buf, lim)
	i := r.seen
	for i < len(line) && class[line[i]]&isQuery != 0 {
		i++
	}
	switch {
	case i == len(line):
		return r.more(line, lim)
	case line[i] != ' ':
		return badTarget
	}
	return r.endTarget(line, i)
}

// endTarget is at the space behind the target.
func (r *Request) endTarget(line []byte, i int) (d defect) {
	switch {
	case r.stage == atAbsolute && line[r.start] == '*':
		if i != r.start+1 {
			return badTarget
		}
		r.Form = AsteriskForm
		r.path = span{uint32(r.start), uint32(i)}
	case r.stage == atAbsolute:
		if d = r.absolute(line, i); d != fine {
			return d
		}
	case r.HasQuery:
		r.query.to = uint32(i)
	}
	if r.marks&isMark != 0 {
		if d = r.examinePath(line[r.path.from:r.path.to]); d != fine {
			return d
		}
	}
	if r.Form != OriginForm {
		r.Unusual |= UnusualForm
	}
	r.start = i + 1
	r.seen, r.stage = r.start, atVersion
	return fine
}

// absolute takes apart a URL that ends at end.
func (r *Request) absolute(line []byte, end int) defect {
	url := line[r.start:end]
	scheme := bytes.IndexByte(url, ':')
	if scheme < 0 || !foldEqual(url[:scheme], "http") && !foldEqual(url[:scheme], "https") || !bytes.HasPrefix(url[scheme:], []byte("://")) {
		return badTarget
	}
	at := scheme + 3
	slash := at
	for slash < len(url) && url[slash] != '/' && url[slash] != '?' {
		slash++
	}
	port, ok := splitHost(url[at:slash])
	if !ok {
		return badTarget
	}
	base := uint32(r.start)
	in := func(i int) uint32 { return base + uint32(i) }
	r.host, r.port = span{in(at), in(slash)}, in(at+port)
	r.Form = AbsoluteForm
	query := slash
	for query < len(url) && url[query] != '?' {
		if class[url[query]]&isPath == 0 {
			return badTarget
		}
		r.marks |= class[url[query]]
		query++
	}
	r.path = span{in(slash), in(query)}
	if query < len(url) {
		r.HasQuery, r.query = true, span{in(query + 1), in(len(url))}
	} else if slash == query && r.Method == OPTIONS {
		r.Form = AsteriskForm // RFC 9112, 3.2.4
	}
	return fine
}

// examinePath looks at a path with dots or percent signs.
func (r *Request) examinePath(path []byte) defect {
	if bytes.IndexByte(path, '%') < 0 && !bytes.Contains(path, slashDot) {
		return fine
	}
	unusual, d := checkPath(path)
	if unusual {
		r.Unusual |= UnusualPath
	}
	return d
}

// http11 and lineEnd are the end of nearly every request line, as words.
const (
	http11  = 'H' | 'T'<<8 | 'T'<<16 | 'P'<<24 | '/'<<32 | '1'<<40 | '.'<<48 | '1'<<56
	lineEnd = '\r' | '\n'<<8
)

// readVersion reads HTTP/1.1 and CR LF.
func (r *Request) readVersion(buf []byte, lim *Limits) defect {
	const form = "HTTP/d.d\r\n"
	v := buf[r.start:]
	if len(v) >= len(form) && binary.LittleEndian.Uint64(v) == http11 && binary.LittleEndian.Uint16(v[8:]) == lineEnd {
		r.Minor = 1
	} else {
		for i, c := range v[:min(len(v), len(form))] {
			if c != form[i] && (form[i] != 'd' || c < '0' || c > '9') {
				return badVersion
			}
		}
		if len(v) < len(form) {
			return fine
		}
		if v[5] != '1' || v[7] > '1' {
			return otherVersion
		}
		r.Minor = v[7] - '0'
	}
	if r.start += len(form); r.start > lim.Head {
		return longHead
	}
	r.seen, r.stage = r.start, atFields
	return fine
}
