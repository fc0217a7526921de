package route

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A rewriter is a Rewrite made ready.
type rewriter struct {
	kind    rewriteKind
	prefix  string // without a slash at its end
	pattern *regexp.Regexp
	path    []byte
}

type rewriteKind uint8

const (
	rewriteNothing rewriteKind = iota
	rewritePrefix
	rewritePattern
)

// ready checks a rewrite and compiles it. exact is whether the rule's path is no prefix.
func (w Rewrite) ready(exact bool) (rewriter, error) {
	ways := 0
	for _, is := range []bool{w.Strip, w.Prefix != "", w.Pattern != "" || w.Path != ""} {
		if is {
			ways++
		}
	}
	switch {
	case ways > 1:
		return rewriter{}, fmt.Errorf("the path is rewritten in %d ways: keep one of strip, prefix and pattern with path", ways)
	case (w.Strip || w.Prefix != "") && exact:
		return rewriter{}, fmt.Errorf("strip and prefix are for routes by prefix: set pattern and path")
	case w.Host != "":
		if err := checkAuthority(w.Host); err != nil {
			return rewriter{}, err
		}
	}
	switch {
	case w.Strip:
		return rewriter{kind: rewritePrefix}, nil
	case w.Prefix != "":
		return rewriter{kind: rewritePrefix, prefix: strings.TrimRight(w.Prefix, "/")}, checkTarget("prefix", w.Prefix)
	case w.Pattern != "" || w.Path != "":
		return w.readyPattern()
	}
	return rewriter{}, nil
}

func (w Rewrite) readyPattern() (rewriter, error) {
	pattern := w.Pattern
	if pattern == "" {
		pattern = "^.*$" // path alone: one path for all
	}
	if w.Path == "" {
		return rewriter{}, fmt.Errorf("a pattern without path says what to change, and not to what: add path")
	}
	if err := checkTarget("path", w.Path); err != nil {
		return rewriter{}, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return rewriter{}, fmt.Errorf("the pattern cannot be compiled: %w", err)
	}
	for _, m := range reference().FindAllStringSubmatch(w.Path, -1) {
		name := m[1] + m[2]
		if n, err := strconv.Atoi(name); err == nil && n > re.NumSubexp() || err != nil && re.SubexpIndex(name) < 0 {
			return rewriter{}, fmt.Errorf("path uses $%s, which the pattern does not have: it has %d groups", name, re.NumSubexp())
		}
	}
	return rewriter{kind: rewritePattern, pattern: re, path: []byte(w.Path)}, nil
}

// reference is $1, $name or ${name}, as package regexp expands them.
var reference = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$(?:([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})`) })

// checkTarget refuses what cannot stand in a request line.
func checkTarget(key, path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s is %q: begin it with /", key, path)
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`?#\"<>`, c) >= 0 {
			return fmt.Errorf("%s is %q, which has %q in it: encode it, as in %%%02X", key, path, c, c)
		}
	}
	return nil
}

// checkAuthority looks at a host with or without a port, as the Host field may hold it.
func checkAuthority(s string) error {
	host := strings.ToLower(s)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if n, err := strconv.Atoi(host[i+1:]); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("host %q has no port that exists behind its colon: write host or host:port", s)
		}
		host = host[:i]
	}
	return checkHost(s, host)
}

// Rewrites reports whether the rule changes paths.
func (r *Rule) Rewrites() bool { return r.rewrite.kind != rewriteNothing }

// AppendPath appends what becomes of a path, canonical and percent-encoded, to dst. Only a pattern allocates. ok is false
// where a pattern has made something of it that is no canonical path, which has to be refused: the rule was found by
// another path than the upstream would see.
func (r *Rule) AppendPath(dst, path []byte) (out []byte, ok bool) {
	switch {
	case len(path) == 0 || path[0] != '/': // OPTIONS *
	case r.rewrite.kind == rewritePrefix:
		return r.appendBelow(dst, path), true
	case r.rewrite.kind == rewritePattern:
		at := r.rewrite.pattern.FindSubmatchIndex(path)
		if at == nil {
			break
		}
		begin := len(dst)
		dst = r.rewrite.pattern.Expand(dst, r.rewrite.path, path, at)
		return dst, isCanonical(dst[begin:])
	}
	return append(dst, path...), true
}

// appendBelow appends the new prefix and what of path is below the rule's. The result begins with exactly one slash, so
// that nobody takes its first segment for a host.
func (r *Rule) appendBelow(dst, path []byte) []byte {
	rest := r.below(path)
	if r.rewrite.prefix != "" {
		return append(append(dst, r.rewrite.prefix...), rest...)
	}
	for len(rest) > 0 && rest[0] == '/' {
		rest = rest[1:]
	}
	return append(append(dst, '/'), rest...)
}

// below is path without the segments of the rule's prefix: "" or "/…".
func (r *Rule) below(path []byte) []byte {
	for range r.depth {
		if len(path) == 0 {
			return nil
		}
		i := bytes.IndexByte(path[1:], '/')
		if i < 0 {
			return nil
		}
		path = path[1+i:]
	}
	return path
}

// isCanonical reports whether a path begins with one slash and has no dot segment.
func isCanonical(path []byte) bool {
	if len(path) == 0 || path[0] != '/' || len(path) > 1 && path[1] == '/' {
		return false
	}
	for rest := path; len(rest) > 0; {
		rest = rest[1:]
		segment := rest
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			segment, rest = rest[:i], rest[i:]
		} else {
			rest = nil
		}
		if isDots(segment) {
			return false
		}
	}
	return true
}

// isDots reports whether a segment is . or .., or becomes that when it is decoded.
func isDots(segment []byte) bool {
	dots := 0
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if d, ok := unescape(segment, i); ok {
			c = d
			i += 2
		}
		if c != '.' {
			return false
		}
		dots++
	}
	return dots == 1 || dots == 2
}
