package message

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzPath: what is forwarded is what was matched, and never climbs.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2e/x", "/a%2f..", "/a%2F%2e./b", "//x/./", "/%25", "/a/.../b", "/.%2e", "/a/..", "/;/../"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil || u.Scheme != "" || !strings.HasPrefix(s, "/") {
			return
		}
		match, ok := CanonicalPath(u)
		if !ok {
			return
		}
		sent, err := url.ParseRequestURI(u.RequestURI())
		if err != nil {
			t.Fatalf("%q is sent as %q: %v", s, u.RequestURI(), err)
		}
		for seg := range strings.SplitSeq(sent.Path, "/") {
			if seg == ".." || seg == "." {
				t.Fatalf("%q is sent as %q", s, u.RequestURI())
			}
		}
		again, ok := CanonicalPath(sent)
		if !ok || again != match {
			t.Fatalf("%q matches as %q, and what is sent as %q", s, match, again)
		}
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"A.Example": "a.example", "a.example:80": "a.example", "a.example.": "a.example", "[::1]:80": "[::1]", "[::1]": "[::1]", "": "",
	} {
		if got := CanonicalHost(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]bool{"a.example:80": true, "[::1]:80": true, "": true, "a_b": true, "a,b": false, "a b": false, "a@b": false, "a/b": false, "a\x00": false, "ü": false} {
		if ValidHost(in) != want {
			t.Errorf("%q: want %t", in, want)
		}
	}
}
