package route

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// A template is the target of a redirect: text and what is put between it.
type template struct {
	pieces []piece
	local  bool // a path, not a URL
}

// A piece is text, or if that is empty the name of what takes its place.
type piece struct{ text, name string }

// parseTemplate reads Redirect.To. Where it leads is fixed as far as it must be: no client chooses the scheme, and only
// {host} the host.
func parseTemplate(to string) (template, error) {
	t := template{local: strings.HasPrefix(to, "/")}
	if !t.local && !strings.HasPrefix(to, "https://") && !strings.HasPrefix(to, "http://") {
		return t, fmt.Errorf("%q leads nowhere: begin it with https://, http:// or /", to)
	}
	if strings.HasPrefix(to, "//") {
		return t, fmt.Errorf("%q names a host without a scheme: begin it with https://", to)
	}
	if !t.local {
		if err := checkLocationHost(to); err != nil {
			return t, err
		}
	} else if strings.Contains(to, "{host}") {
		return t, errMisplacedHost
	}
	for i := range len(to) {
		if c := to[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' {
			return t, fmt.Errorf("%q has %q in it: encode it, as in %%%02X", to, c, c)
		}
	}
	for to != "" {
		open := strings.IndexByte(to, '{')
		if open < 0 {
			t.pieces = append(t.pieces, piece{text: to})
			break
		}
		if open > 0 {
			t.pieces = append(t.pieces, piece{text: to[:open]})
		}
		end := strings.IndexByte(to, '}')
		if end < open {
			return t, fmt.Errorf("%q is not closed: add }, or write %%7B for the character itself", to[open:])
		}
		name := to[open+1 : end]
		switch name {
		case "host", "path", "rest", "query":
		default:
			return t, fmt.Errorf("{%s} is not known: it is {host}, {path}, {rest} or {query}", name)
		}
		t.pieces = append(t.pieces, piece{name: name})
		to = to[end+1:]
	}
	return t, nil
}

var errMisplacedHost = errors.New("{host} stands where it could become part of another name: it can only be the whole host, as in https://{host}/")

// checkLocationHost looks at the host of a URL: it ends where nothing that a request brings can make it longer.
func checkLocationHost(to string) error {
	_, rest, _ := strings.Cut(to, "://")
	if after, ok := strings.CutPrefix(rest, "{host}"); ok {
		rest = "x" + after // any name would do
	}
	if strings.Contains(rest, "{host}") {
		return errMisplacedHost
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#{"); i >= 0 {
		end = i
	}
	if end == 0 {
		return fmt.Errorf("%q names no host: write one, or {host}", to)
	}
	if err := checkAuthority(rest[:end]); err != nil {
		return err
	}
	if maybeEmpty().MatchString(rest[end:]) {
		return fmt.Errorf("%q has text behind the host that could become part of it: put a / before it", to)
	}
	return nil
}

// maybeEmpty is text that comes right behind what may be nothing at all.
var maybeEmpty = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\{[a-z]*\})+[^/?#{]`) })

// AppendLocation appends where a [*Redirect] leads to for a request. It is a value for the Location field: no request can
// make it lead to another host than the rule says.
func (r *Rule) AppendLocation(dst []byte, q *Query) []byte {
	begin := len(dst)
	for _, p := range r.location.pieces {
		switch p.name {
		case "":
			dst = append(dst, p.text...)
		case "host":
			dst = append(dst, q.Host...)
		case "path":
			if len(q.Path) > 0 && q.Path[0] == '/' { // of OPTIONS * there is none
				dst = append(dst, q.Path...)
			}
		case "rest":
			if len(q.Path) > 0 && q.Path[0] == '/' {
				dst = append(dst, r.below(q.Path)...)
			}
		case "query":
			if len(q.Query) > 0 {
				dst = append(append(dst, '?'), q.Query...)
			}
		}
	}
	if r.location.local { // a browser takes //name for a host
		slashes := 0
		for slashes < len(dst)-begin && (dst[begin+slashes] == '/' || dst[begin+slashes] == '\\') {
			slashes++
		}
		if slashes > 1 {
			dst = append(dst[:begin+1], dst[begin+slashes:]...)
		}
	}
	return dst
}
