package route

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRewrites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule  string
		w     Rewrite
		path  string
		want  string
		wrong bool
	}{
		{"/api", Rewrite{}, "/api/x", "/api/x", false},
		{"/api", Rewrite{Strip: true}, "/api/x/", "/x/", false},
		{"/api", Rewrite{Strip: true}, "/api", "/", false},
		{"/api", Rewrite{Strip: true}, "/api/", "/", false},
		{"/api", Rewrite{Strip: true}, "/%61pi/a%2Fb", "/a%2Fb", false},
		{"/api", Rewrite{Strip: true}, "/api//evil.example/x", "/evil.example/x", false},
		{"/a/b", Rewrite{Strip: true}, "/a/b/c/d", "/c/d", false},
		{"/api", Rewrite{Prefix: "/v2/"}, "/api/x", "/v2/x", false},
		{"/api", Rewrite{Prefix: "/v2"}, "/api", "/v2", false},
		{"/api", Rewrite{Prefix: "/"}, "/api/x", "/x", false},
		{"/", Rewrite{Prefix: "/v2"}, "/x", "/v2/x", false},
		{"/", Rewrite{Prefix: "/v2"}, "*", "*", false},
		{"/", Rewrite{Pattern: `^/blog/([0-9]+)$`, Path: "/posts/$1"}, "/blog/7", "/posts/7", false},
		{"/", Rewrite{Pattern: `^/blog/([0-9]+)$`, Path: "/posts/$1"}, "/blog/x", "/blog/x", false},
		{"/", Rewrite{Pattern: `^/(?P<who>[^/]+)/at/(.*)`, Path: "/${2}/${who}"}, "/me/at/home", "/home/me", false},
		{"/", Rewrite{Path: "/maintenance"}, "/any/thing", "/maintenance", false},
		{"/", Rewrite{Pattern: "^/(.*)x/(.*)", Path: "/$1$2"}, "/.x/./a", "/.", true},
		{"/", Rewrite{Pattern: "^/(.*)x(.*)", Path: "/a/$1$2"}, "/%2Ex%2e", "/a/%2E%2e", true},
		{"/", Rewrite{Pattern: "^/x(.*)", Path: "/$1"}, "/x/evil", "//evil", true},
	} {
		r := to("r", Match{Path: c.rule})
		r.Policy.Rewrite = c.w
		rule := compile(t, r).Match(&Query{Path: []byte(c.path)})
		const before = "GET "
		got, ok := rule.AppendPath([]byte(before), []byte(c.path))
		if after, _ := strings.CutPrefix(string(got), before); ok == c.wrong || ok && after != c.want {
			t.Errorf("%s %+v: %s becomes %s, %v; want %s", c.rule, c.w, c.path, after, ok, c.want)
		}
		if rule.Rewrites() != (c.w != Rewrite{}) {
			t.Errorf("%+v: rewrites: %v", c.w, rule.Rewrites())
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, to, request, want string }{
		{"/", "https://{host}{path}{query}", "GET http://a.example/x%20y?a=1&b", "https://a.example/x%20y?a=1&b"},
		{"/", "https://{host}{path}{query}", "GET http://a.example/", "https://a.example/"},
		{"/", "https://{host}:8443{path}", "GET http://a.example/x?y", "https://a.example:8443/x"},
		{"/old", "/new{rest}{query}", "GET http://a/old/x?y=1", "/new/x?y=1"},
		{"/old", "/new{rest}", "GET http://a/old", "/new"},
		{"/old", "https://new.example{rest}", "GET http://a/old/x", "https://new.example/x"},
		{"/", "/{path}", "GET http://a//evil.example/", "/evil.example/"},
		{"/old", "/{rest}", "GET http://a/old//evil.example", "/evil.example"},
		{"/", "/a/{path}", "GET http://a/x", "/a//x"},
		{"/", "/fixed", "GET http://a/x?y", "/fixed"},
	} {
		r := to("r", Match{Path: c.path})
		r.Action = &Redirect{To: c.to}
		q := ask(c.request, nil)
		if got := compile(t, r).Match(q).AppendLocation(nil, q); string(got) != c.want {
			t.Errorf("%s for %s: %s, want %s", c.to, c.request, got, c.want)
		}
	}
}

// No request makes a redirect lead to a host that the rule does not name.
func TestRedirectsAreNotOpen(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{"/", "{path}", "{rest}", "{query}", "a", ".evil", "{host}", ":80", "?x="})
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.SampledFrom([]string{"/", "https://own.example", "https://{host}"}).Draw(t, "begin")
		text := begin + strings.Join(rapid.SliceOfN(pieces, 0, 4).Draw(t, "pieces"), "")
		r := Rule{Match: Match{Path: "/old"}, Action: &Redirect{To: text}}
		m, err := Compile([]Rule{r})
		if err != nil {
			return
		}
		compiled++
		fixed := func(path, query string) string {
			q := &Query{Host: []byte("own.example"), Path: []byte(path), Query: []byte(query)}
			to, err := url.Parse(string(m.Match(q).AppendLocation(nil, q)))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return to.Host
		}
		path := "/old" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"/", "evil.example", "@", ":1", "/old"}), 0, 5).Filter(func(s []string) bool {
			return len(s) == 0 || s[0] == "/" || s[0] == "/old"
		}).Draw(t, "path"), "")
		if got, want := fixed(path, "a@evil.example/"), fixed("/old", ""); got != want {
			t.Errorf("%s leads to %s for %s, to %s else", text, got, path, want)
		}
	})
	if compiled < 20 {
		t.Errorf("only %d of the targets were ones", compiled)
	}
}

func TestSplitsAreAsTheirWeights(t *testing.T) {
	t.Parallel()
	r := to("r", Match{})
	r.Action = &Forward{Pools: []Share{{"a", 90}, {"none", 0}, {"b", 10}}}
	f := compile(t, r).Rules()[0].Action.(*Forward)
	random, counts := rand.New(rand.NewPCG(1, 2)), [3]int{}
	const n = 100_000
	for range n {
		counts[f.Pick(random.Uint64())]++
	}
	// Five standard deviations of a binomial.
	if off := math.Abs(float64(counts[2]) - n*0.1); off > 5*math.Sqrt(n*0.1*0.9) || counts[1] != 0 {
		t.Errorf("%v", counts)
	}
	if f.Pick(0) != 0 || f.Pick(math.MaxUint64) != 2 {
		t.Error("the ends of the range do not belong to the ends of the pools")
	}
}

func TestGrowingAShareMovesOnlyWhatItGains(t *testing.T) {
	t.Parallel()
	split := func(b int) *Forward {
		r := to("r", Match{})
		r.Action = &Forward{Pools: []Share{{"a", 100 - b}, {"b", b}}}
		return compile(t, r).Rules()[0].Action.(*Forward)
	}
	before, after := split(10), split(25)
	for i := range 10_000 {
		h := Hash([]byte{byte(i), byte(i >> 8)}, 7)
		if before.Pick(h) == 1 && after.Pick(h) == 0 {
			t.Fatal("a key left the pool that grew")
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	q := ask("GET http://A.example/x?user=J%C3%BCrgen+B&user=2", map[string][]string{"X-User": {"u1", "u2"}, "Cookie": {"a=b; sid=42"}})
	q.Client = netip.MustParseAddr("2001:db8::1")
	for text, same := range map[string]Query{
		"client":        {Client: netip.MustParseAddr("2001:db8::ffff")},
		"host":          {Host: []byte("a.EXAMPLE")},
		"path":          {Path: []byte("/x")},
		"header:x-user": {Fields: header{"X-User": {"u1"}}},
		"cookie:sid":    {Fields: header{"Cookie": {"sid=42"}}},
		"query:user":    {Query: []byte("user=J%c3%bcrgen%20B")},
	} {
		var k Key
		if err := k.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		var again Key
		if err := again.UnmarshalText([]byte(k.String())); err != nil || again != k {
			t.Errorf("%s is written %s, which reads as %v: %v", text, k, again, err)
		}
		a, ok1 := k.Hash(q, 1)
		b, ok2 := k.Hash(&same, 1)
		salted, _ := k.Hash(q, 2)
		if !ok1 || !ok2 || a != b || a == salted {
			t.Errorf("%s: %x and %x (salted %x), %v %v", text, a, b, salted, ok1, ok2)
		}
		if _, ok := k.Hash(&Query{}, 1); ok != (text == "path") {
			t.Errorf("%s: a request without it has a key", text)
		}
	}
	v4, mapped := Query{Client: netip.MustParseAddr("192.0.2.1")}, Query{Client: netip.MustParseAddr("::ffff:192.0.2.1")}
	a, _ := Key{From: FromClient}.Hash(&v4, 0)
	if b, _ := (Key{From: FromClient}).Hash(&mapped, 0); a != b {
		t.Error("an IPv4 address is another one when it is mapped")
	}
	for _, bad := range []string{"", "ip", "header", "header:", "header:a b", "client:x", "cookie:=", "query:"} {
		if err := new(Key).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// TestHashSpreads looks at every bit: over many short keys each is set about half of the time.
func TestHashSpreads(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var ones [64]int
	for i := range n {
		h := Hash(bytes.Repeat([]byte{byte(i)}, 1+i>>8&3), uint64(i>>10))
		for b := range ones {
			ones[b] += int(h >> b & 1)
		}
	}
	for b, c := range ones {
		if math.Abs(float64(c)-n/2) > 6*math.Sqrt(n)/2 {
			t.Errorf("bit %d is set %d times of %d", b, c, n)
		}
	}
}
