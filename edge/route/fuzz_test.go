package route

import (
	"bytes"
	"testing"
)

// FuzzMatch asks with whatever bytes: nothing panics, an answer does not depend on what was asked before, and a path that is
// rewritten by prefix begins with one slash.
func FuzzMatch(f *testing.F) {
	rules, _ := many(2)
	strip := to("strip", Match{Path: "/s"})
	strip.Policy.Rewrite.Strip = true
	pattern := to("pattern", Match{Path: "/p"})
	pattern.Policy.Rewrite = Rewrite{Pattern: "^/p/(.*)$", Path: "/q/$1"}
	away := to("away", Match{Path: "/away"})
	away.Action = &Redirect{To: "/x{rest}{query}"}
	m, err := Compile(append(rules, strip, pattern, away))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("GET"), []byte("H0.example.com."), []byte("/api/v1/%61"), []byte("q=a%20b&x"), []byte("theme=dark; a"))
	f.Add([]byte("HEAD"), []byte("[::1]"), []byte("/s//x"), []byte("&&=%"), []byte(";;="))
	f.Add([]byte(""), []byte(".."), []byte("/away/%2F"), []byte("+"), []byte("\t= "))
	used := &Query{}
	f.Fuzz(func(t *testing.T, method, host, path, query, cookie []byte) {
		q := Query{Method: method, Host: host, Path: path, Query: query, Fields: lines{{"Cookie", cookie}, {"X-Canary", []byte("yes")}}}
		used.Method, used.Host, used.Path, used.Query, used.Fields = q.Method, q.Host, q.Path, q.Query, q.Fields
		r := m.Match(&q)
		if again := m.Match(used); again != r {
			t.Fatalf("%s, then %s", nameOf(r), nameOf(again))
		}
		if r == nil {
			t.Fatal("a rule is for everything")
		}
		out, ok := r.AppendPath(nil, path)
		if r.Policy.Rewrite.Strip && ok && bytes.HasPrefix(path, []byte("/")) && (out[0] != '/' || len(out) > 1 && out[1] == '/') {
			t.Errorf("%q becomes %q", path, out)
		}
		if r.Name == "away" && !bytes.HasPrefix(r.AppendLocation(nil, &q), []byte("/x")) {
			t.Errorf("%q leads away", path)
		}
		for k := FromClient; k <= FromQuery; k++ {
			Key{k, "theme"}.Hash(&q, 1)
		}
	})
}
