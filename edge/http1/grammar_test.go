package http1

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This is a third parser: the grammar of RFC 9112 as regular expressions, and the rules of edge.md, 3.3 in plain words.
// It is slow, knows whole messages only, and shares nothing with the engine but the words it answers in.

const (
	reToken  = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	reValue  = "[\\t\\x20-\\x7e\\x{80}-\\x{ff}]*"
	rePath   = "[A-Za-z0-9\\-._~!$&'()*+,;=:@%/\\[\\]|]*"
	reQuery  = "[A-Za-z0-9\\-._~!$&'()*+,;=:@%/?\\[\\]|{}^`\\\\]*"
	reQuoted = "\"(?:[\\t !\\x23-\\x5b\\x5d-\\x7e\\x{80}-\\x{ff}]|\\\\[\\t\\x20-\\x7e\\x{80}-\\x{ff}])*\""
	reFields = "((?:" + reToken + ":" + reValue + "\r\n)*)\r\n"
)

var (
	grammarRequest  = regexp.MustCompile("^(?:\r\n)?(" + reToken + ") ([\\x21-\\x7e]+) HTTP/1\\.([01])\r\n" + reFields)
	grammarResponse = regexp.MustCompile("^HTTP/1\\.([01]) ([1-5][0-9][0-9])(?: (" + reValue + "))?\r\n" + reFields)
	grammarOrigin   = regexp.MustCompile("^(/" + rePath + ")(?:(\\?)(" + reQuery + "))?$")
	grammarAbsolute = regexp.MustCompile("^(?i:https?)://([^/?]*)(" + rePath + ")(?:(\\?)(" + reQuery + "))?$")
	grammarHost     = regexp.MustCompile(`^(\[([0-9A-Fa-f:.]+)\]|[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*\.?)(?::([0-9]{0,5}))?$`)
	grammarDigits   = regexp.MustCompile("^[0-9]+$")
	grammarProtocol = regexp.MustCompile("^" + reToken + "(?:/" + reToken + ")?$")
	grammarChunk    = regexp.MustCompile("^([0-9A-Fa-f]{1,16})((?:[ \\t]*;[ \\t]*" + reToken + "(?:[ \\t]*=[ \\t]*(?:" + reToken + "|" + reQuoted + "))?)*)\r\n")
	grammarTrailer  = regexp.MustCompile("^" + reFields)
)

// latin1 makes every byte a rune, so that regular expressions see bytes.
func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

func bytesOf(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

type plainField struct{ name, value string } // the name in lower case

func plainFields(block string) (all []plainField, ok bool) {
	for line := range strings.SplitSeq(strings.TrimSuffix(block, "\r\n"), "\r\n") {
		name, value, found := strings.Cut(line, ":")
		if !found {
			break // there is no line
		}
		if len(name) > 256 {
			return nil, false
		}
		all = append(all, plainField{strings.ToLower(name), strings.Trim(value, " \t")})
	}
	return all, len(all) <= 100
}

func values(all []plainField, name string) (vs []string) {
	for _, f := range all {
		if f.name == name {
			vs = append(vs, f.value)
		}
	}
	return vs
}

func listed(all []plainField, name string) (elements []string) {
	for _, v := range values(all, name) {
		for e := range strings.SplitSeq(v, ",") {
			if e = strings.ToLower(strings.Trim(e, " \t")); e != "" {
				elements = append(elements, e)
			}
		}
	}
	return elements
}

// plainFraming is what the fields say of the length: kind, and the number in digits.
func plainFraming(all []plainField) (FramingKind, string, bool) {
	lengths, codings := values(all, "content-length"), values(all, "transfer-encoding")
	switch {
	case len(lengths)+len(codings) == 0:
		return NoBody, "", true
	case len(lengths)+len(codings) > 1:
		return 0, "", false
	case len(codings) == 1:
		return Chunked, "", strings.ToLower(codings[0]) == "chunked" && len(codings[0]) == 7
	}
	digits := strings.TrimLeft(lengths[0], "0")
	if digits == "" {
		digits = "0"
	}
	_, err := strconv.ParseInt(digits, 10, 64)
	return Length, digits, grammarDigits.MatchString(lengths[0]) && err == nil
}

func plainHost(h string) bool {
	m := grammarHost.FindStringSubmatch(h)
	if m == nil || len(m[1]) > 255 {
		return false
	}
	if m[2] != "" {
		if a, err := netip.ParseAddr(m[2]); err != nil || !a.Is6() {
			return false
		}
	}
	port, _ := strconv.Atoi("0" + m[3])
	return port <= 65535
}

// hop names what is never forwarded, whatever Connection says.
var plainHop = []string{"connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade", "http2-settings"}

// plainKept are the fields that go further, as "name: value".
func plainKept(all []plainField) (kept []string, ok bool) {
	named := 0
	options := listed(all, "connection")
	for _, o := range options {
		if o != "close" && o != "keep-alive" && o != "upgrade" {
			named++
		}
	}
	steers := func(name string) bool {
		return slices.Contains([]string{"forwarded", "x-real-ip", "x-request-id", "host", "content-length"}, name) || strings.HasPrefix(name, "x-forwarded-")
	}
	needed := func(name string) bool {
		return steers(name) || slices.Contains([]string{"via", "traceparent", "tracestate", "date", "x-semper-release"}, name)
	}
	for _, f := range all {
		dashed := strings.ReplaceAll(f.name, "_", "-")
		switch {
		case slices.Contains(plainHop, f.name), f.name == "host", f.name == "content-length":
		case slices.Contains(options, f.name) && !needed(f.name) && f.name != "close":
		case dashed != f.name && (steers(dashed) || dashed == "expect" || slices.Contains(plainHop, dashed)):
		default:
			kept = append(kept, f.name+": "+bytesOf(f.value))
		}
	}
	return kept, named <= 32
}

// plainRequest is the first request of raw and how long it is; ok is false when it is none, or not whole.
func plainRequest(raw []byte) (m message, ok bool) {
	text := latin1(raw)
	g := grammarRequest.FindStringSubmatch(text)
	if g == nil || len(g[1]) > 32 || g[1] == "CONNECT" {
		return m, false
	}
	method, target, minor := g[1], g[2], g[3]
	all, ok := plainFields(g[4])
	if !ok {
		return m, false
	}
	path, host, ok := plainTarget(method, target)
	if !ok {
		return m, false
	}
	hosts := values(all, "host")
	if len(hosts) > 1 || len(hosts) == 0 && minor == "1" || len(hosts) == 1 && !plainHost(hosts[0]) {
		return m, false
	}
	if host == "" && len(hosts) == 1 {
		host = hosts[0]
	}
	kind, length, ok := plainFraming(all)
	n, _ := strconv.ParseInt("0"+length, 10, 64)
	if !ok || minor == "0" && kind == Chunked || n > Default.Body || method == "TRACE" && kind != NoBody {
		return m, false
	}
	if expect := values(all, "expect"); minor == "1" && len(expect) > 0 && (len(expect) > 1 || strings.ToLower(expect[0]) != "100-continue") {
		return m, false
	}
	m = message{start: method + " " + path, host: host, framing: kind, keep: minor == "1" && !slices.Contains(listed(all, "connection"), "close")}
	if m.fields, ok = plainKept(all); !ok {
		return m, false
	}
	m.body, m.trailers, m.done = plainBody(text[len(g[0]):], kind, n)
	return m, true
}

// plainTarget is path with query, and the host if the target names one.
func plainTarget(method, target string) (path, host string, ok bool) {
	if len(target) > Default.Target {
		return "", "", false
	}
	if target == "*" {
		return "*", "", method == "OPTIONS"
	}
	g := grammarOrigin.FindStringSubmatch(target)
	if g == nil {
		a := grammarAbsolute.FindStringSubmatch(target)
		if a == nil || !plainHost(a[1]) {
			return "", "", false
		}
		host, g = a[1], []string{"", a[2], a[3], a[4]}
		if g[1] == "" && g[2] == "" && method == "OPTIONS" {
			return "*", host, true
		}
		if g[1] == "" {
			g[1] = "/"
		}
	}
	if strings.ContainsAny(g[1], "|[]") { // net/url, which the reference is made of, would encode them
		if _, _, ok = referencePath(strings.NewReplacer("|", "x", "[", "x", "]", "x").Replace(g[1])); !ok {
			return "", "", false
		}
	} else if _, _, ok = referencePath(g[1]); !ok {
		return "", "", false
	}
	return g[1] + g[2] + g[3], host, true
}

// plainResponse is the first response of raw.
func plainResponse(raw []byte, asked Asked) (m message, ok bool) {
	text := latin1(raw)
	g := grammarResponse.FindStringSubmatch(text)
	if g == nil {
		return m, false
	}
	all, ok := plainFields(g[4])
	if !ok {
		return m, false
	}
	kind, length, ok := plainFraming(all)
	if !ok || g[1] == "0" && kind == Chunked {
		return m, false
	}
	n, _ := strconv.ParseInt("0"+length, 10, 64)
	options := listed(all, "connection")
	m.keep = g[1] == "1" && !slices.Contains(options, "close")
	switch {
	case g[2] == "101":
		to := values(all, "upgrade")
		if len(asked.Upgrade) == 0 || g[1] == "0" || len(to) != 1 || !slices.Contains(options, "upgrade") ||
			!grammarProtocol.MatchString(to[0]) || !strings.EqualFold(to[0], string(asked.Upgrade)) {
			return m, false
		}
		kind, m.keep = NoBody, false
	case asked.Method == HEAD, g[2][0] == '1', g[2] == "204", g[2] == "304":
		kind = NoBody
	case kind == NoBody:
		kind, m.keep = UntilClose, false
	}
	m.start, m.framing = g[2]+" "+bytesOf(g[3]), kind
	if m.fields, ok = plainKept(all); !ok {
		return m, false
	}
	m.body, m.trailers, m.done = plainBody(text[len(g[0]):], kind, n)
	return m, true
}

// plainBody is content, trailers that may go further, and whether all of it is there and well formed.
func plainBody(text string, kind FramingKind, n int64) (body string, trailers []string, done bool) {
	switch kind {
	case NoBody:
		return "", nil, true
	case UntilClose:
		return bytesOf(text), nil, true
	case Length:
		runes := []rune(text)
		if int64(len(runes)) < n {
			return "", nil, false
		}
		return bytesOf(string(runes[:n])), nil, true
	}
	for {
		g := grammarChunk.FindStringSubmatch(text)
		if g == nil || len([]rune(g[2])) >= Default.ChunkExt {
			return "", nil, false
		}
		text = text[len(g[0]):]
		size, err := strconv.ParseInt(g[1], 16, 64)
		if err != nil {
			return "", nil, false
		}
		if size == 0 {
			break
		}
		runes := []rune(text)
		if size > int64(len(runes))-2 || string(runes[size:size+2]) != "\r\n" {
			return "", nil, false
		}
		body += bytesOf(string(runes[:size]))
		text = string(runes[size+2:])
	}
	g := grammarTrailer.FindStringSubmatch(text)
	if g == nil {
		return "", nil, false
	}
	all, ok := plainFields(g[1])
	if !ok {
		return "", nil, false
	}
	for _, f := range all {
		if plainTrailer(f.name) {
			trailers = append(trailers, f.name+": "+bytesOf(f.value))
		}
	}
	return body, trailers, true
}

func plainTrailer(name string) bool {
	dashed := strings.ReplaceAll(name, "_", "-")
	steers := func(name string) bool {
		return slices.Contains(plainHop, name) || strings.HasPrefix(name, "x-forwarded-") ||
			slices.Contains([]string{"forwarded", "x-real-ip", "x-request-id", "host", "content-length", "expect"}, name)
	}
	return !steers(name) && (dashed == name || !steers(dashed)) && !slices.Contains([]string{"content-type", "content-encoding",
		"content-range", "authorization", "cookie", "set-cookie", "max-forwards", "range", "cache-control", "age", "date", "location",
		"retry-after", "vary", "www-authenticate"}, name)
}
