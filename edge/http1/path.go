package http1

import "bytes"

var slashDot = []byte("/.")

// CanonicalPath is the one form of a path that is forwarded, and that routes are compared with (see MatchPath):
//
//   - Dot segments that are written out are resolved (RFC 3986, 5.2.4).
//   - A path is refused, ok is false, if an encoding hides a dot segment, a backslash or a NUL, is malformed, or if a
//     backslash or NUL stands there plainly: what an app would make of them nobody knows.
//   - Everything else stays byte for byte. An encoded slash is no boundary and stays encoded.
//
// out is path itself if nothing changes, else it is appended to dst[:0]; dst may be nil, and must not overlap path.
func CanonicalPath(dst, path []byte) (out []byte, ok bool) {
	if len(path) == 0 {
		return rootPath, true
	}
	if bytes.IndexByte(path, '%') < 0 && !bytes.Contains(path, slashDot) {
		if !plain(path) {
			return nil, false
		}
		return path, true
	}
	if _, d := checkPath(path); d != fine || !plain(path) {
		return nil, false
	}
	if !dotted(path) {
		return path, true
	}
	return resolve(dst[:0], path), true
}

// plain reports whether a path begins with a slash and has nothing in it that is forbidden outright.
func plain(path []byte) bool {
	return (path[0] == '/' || len(path) == 1 && path[0] == '*') && bytes.IndexByte(path, '\\') < 0 && bytes.IndexByte(path, 0) < 0
}

// CanonicalPath is that of the path, without a second look where Parse found nothing to look at.
func (r *Request) CanonicalPath(dst []byte) []byte {
	path := r.Path()
	if r.Unusual&UnusualPath == 0 || !dotted(path) {
		return path
	}
	return resolve(dst[:0], path)
}

// MatchPath is what routes compare with: a canonical path, decoded. An encoded slash becomes a NUL, which no route has
// in it: so it is neither a boundary nor any other byte. out is path itself if there is nothing to decode, else it is
// appended to dst[:0].
func MatchPath(dst, path []byte) (out []byte) {
	if bytes.IndexByte(path, '%') < 0 {
		return path
	}
	out = dst[:0]
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			if c == '/' {
				c = 0
			}
			i += 2
		}
		out = append(out, c)
	}
	return out
}

// checkPath refuses what CanonicalPath says of encodings. unusual is whether the path has dot segments, or encodes a
// byte that steers: slash, dot, percent sign.
func checkPath(path []byte) (unusual bool, d defect) {
	// dots is what the part of a segment that is being read is made of, up to the next slash however written: so many
	// dots; 3 stands for anything that is no dot segment. hidden: something of the segment is encoded that steers.
	dots, hidden := 0, false
	for i := 0; i < len(path); i++ {
		c, encoded := path[i], false
		if c == '%' {
			if i+2 >= len(path) || class[path[i+1]]&class[path[i+2]]&isHex == 0 {
				return true, badTarget
			}
			c, encoded = unhex(path[i+1])<<4|unhex(path[i+2]), true
			i += 2
			hidden = hidden || c == '/' || c == '.'
			unusual = unusual || hidden || c == '%'
		}
		switch {
		case c == '/':
			if dots == 1 || dots == 2 {
				if unusual = true; hidden {
					return true, hiddenPath
				}
			}
			dots, hidden = 0, encoded
		case c == '.':
			dots = min(dots+1, 3)
		case encoded && (c == 0 || c == '\\'):
			return true, hiddenPath
		default:
			dots = 3
		}
	}
	dotSegment := dots == 1 || dots == 2
	if dotSegment && hidden {
		return true, hiddenPath
	}
	return unusual || dotSegment, fine
}

// dotted reports whether a path has a dot segment that is written out.
func dotted(path []byte) bool {
	for i := 0; ; {
		j := bytes.Index(path[i:], slashDot)
		if j < 0 {
			return false
		}
		i += j + len(slashDot)
		rest := path[i:]
		if len(rest) > 0 && rest[0] == '.' {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] == '/' {
			return true
		}
	}
}

// resolve appends path without its dot segments. An encoded slash is no boundary.
func resolve(dst, path []byte) []byte {
	base := len(dst)
	for len(path) > 0 { // path begins with a slash here
		next := bytes.IndexByte(path[1:], '/') + 1
		if next == 0 {
			next = len(path)
		}
		last := next == len(path)
		switch string(path[1:next]) {
		case ".":
		case "..":
			if i := bytes.LastIndexByte(dst[base:], '/'); i >= 0 {
				dst = dst[:base+i]
			}
		default:
			dst = append(dst, path[:next]...)
			last = false
		}
		if last {
			dst = append(dst, '/')
		}
		path = path[next:]
	}
	return dst
}
