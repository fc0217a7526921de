package http1

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var pathCases = []struct {
	path, want string // "" is refused
	match      string // "" is want
}{
	{path: "", want: "/"},
	{path: "/", want: "/"},
	{path: "*", want: "*"},
	{path: "/a/../admin", want: "/admin"},
	{path: "/a/./b/../c", want: "/a/c"},
	{path: "/%2e%2e/admin"},
	{path: "/a%2fb", want: "/a%2fb", match: "/a\x00b"},
	{path: "/a%252fb", want: "/a%252fb", match: "/a%2fb"},
	{path: "//admin", want: "//admin"},
	{path: "/admin;x", want: "/admin;x"},
	{path: "/api../", want: "/api../"},
	{path: "/..;/x", want: "/..;/x"},
	{path: "/a/..", want: "/"},
	{path: "/a/.", want: "/a/"},
	{path: "/..", want: "/"},
	{path: "/../../x", want: "/x"},
	{path: "//..", want: "/"},
	{path: "/a//../b", want: "/a/b"},
	{path: "/a/.../b", want: "/a/.../b"},
	{path: "/.%2e"},
	{path: "/%2E"},
	{path: "/a%2f.."},
	{path: "/a%2F%2e./b"},
	{path: "/a/..%2fb"},
	{path: "/%2e%2e%2fadmin"},
	{path: "/%2ehidden", want: "/%2ehidden", match: "/.hidden"},
	{path: "/x%2e/y", want: "/x%2e/y", match: "/x./y"},
	{path: "/.hidden/..a", want: "/.hidden/..a"},
	{path: "/a%00b"},
	{path: "/a%5cb"},
	{path: "/a%5Cb"},
	{path: "/a\\b"},
	{path: "/a\x00b"},
	{path: "/%7Euser/%41", want: "/%7Euser/%41", match: "/~user/A"},
	{path: "/a%2f/../b", want: "/b"},
	{path: "/%zz"},
	{path: "/a%2"},
	{path: "/a%"},
	{path: "a"},
}

func TestCanonicalPath(t *testing.T) {
	t.Parallel()
	for _, tc := range pathCases {
		got, ok := CanonicalPath(nil, []byte(tc.path))
		if ok != (tc.want != "") || string(got) != tc.want {
			t.Errorf("%q becomes %q, %v; want %q", tc.path, got, ok, tc.want)
		}
		if tc.match == "" {
			tc.match = tc.want
		}
		if match := string(MatchPath(nil, got)); ok && match != tc.match {
			t.Errorf("%q matches as %q, want %q", tc.path, match, tc.match)
		}
	}
}

// TestCanonicalPathAgrees with the rule of package edge, which is written over net/url, and with what Parse refuses.
func TestCanonicalPathAgrees(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{"/", ".", "..", "a", "b;c", "%2f", "%2F", "%2e", "%2E", "%25", "%41", "%00", "%5c", "%", "%g0", "~", "//"})
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "path"), "")
		want, wantMatch, wantOK := referencePath(path)
		got, ok := CanonicalPath(make([]byte, 0, 8), []byte(path))
		if ok != wantOK || ok && string(got) != want {
			t.Fatalf("%q becomes %q, %v; want %q, %v", path, got, ok, want, wantOK)
		}
		var r Request
		_, err := r.Parse([]byte("GET "+path+"?a/../b HTTP/1.1\r\nHost: a\r\n\r\n"), &Default)
		if (err == nil) != ok {
			t.Fatalf("%q: Parse says %v", path, err)
		}
		if !ok {
			return
		}
		if match := string(MatchPath(nil, got)); match != wantMatch {
			t.Fatalf("%q matches as %q, want %q", path, match, wantMatch)
		}
		if own := r.CanonicalPath(nil); !bytes.Equal(own, got) {
			t.Fatalf("%q becomes %q by itself, %q in a request", path, got, own)
		}
		if again, ok := CanonicalPath(nil, got); !ok || !bytes.Equal(again, got) {
			t.Fatalf("%q becomes %q, and that %q", path, got, again)
		}
	})
}

// referencePath is what package edge does with a path: canonicalPath of edge/snapshot.go.
func referencePath(path string) (sent, match string, ok bool) {
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.ContainsAny(u.Path, "\x00\\") {
		return "", "", false
	}
	raw := u.EscapedPath()
	if strings.Contains(u.Path, "/.") {
		if raw, ok = referenceDots(raw); !ok {
			return "", "", false
		}
	}
	match, err = url.PathUnescape(strings.NewReplacer("%2f", "%00", "%2F", "%00").Replace(raw))
	return raw, match, err == nil
}

func referenceDots(escaped string) (string, bool) {
	segments := strings.Split(escaped, "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				out = append(out, "")
			}
			continue
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
			continue
		}
		decoded := strings.NewReplacer("%2f", "/", "%2F", "/", "%2e", ".", "%2E", ".").Replace(s)
		for part := range strings.SplitSeq(decoded, "/") {
			if part == "." || part == ".." {
				return "", false
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "/"), true
}
