package route

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// header is a Reader over http.Header, whose keys are canonical.
type header http.Header

func (h header) Value(name string, i int) ([]byte, bool) {
	v := h[name]
	if i >= len(v) {
		return nil, false
	}
	return []byte(v[i]), true
}

// to is a rule that leads to a pool of its name.
func to(name string, m Match) Rule {
	return Rule{Name: name, Match: m, Action: &Forward{Pools: []Share{{Pool: name, Weight: 1}}}, Policy: DefaultPolicy()}
}

func compile(t testing.TB, rules ...Rule) *Matcher {
	t.Helper()
	m, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask is a query for "METHOD scheme://host/path?query".
func ask(request string, fields http.Header) *Query {
	method, url, _ := strings.Cut(request, " ")
	scheme, rest, _ := strings.Cut(url, "://")
	at := strings.IndexByte(rest, '/')
	path, query, _ := strings.Cut(rest[at:], "?")
	q := &Query{Method: []byte(method), Host: []byte(rest[:at]), Path: []byte(path), Query: []byte(query), TLS: scheme == "https", Fields: header(fields)}
	if query == "" {
		q.Query = nil
	}
	return q
}

func nameOf(r *Rule) string {
	if r == nil {
		return "none"
	}
	return r.Name
}

func TestWhichRuleWins(t *testing.T) {
	t.Parallel()
	canary := []Condition{{In: InField, Name: "x-canary", Test: Equal, Value: "yes"}}
	m := compile(t,
		to("any", Match{}),
		to("any-api", Match{Path: "/api"}),
		to("wild", Match{Hosts: []string{"*.example.com"}}),
		to("wild-deep", Match{Hosts: []string{"*.eu.example.com"}, Path: "/api"}),
		to("shop", Match{Hosts: []string{"Shop.Example.com"}, Path: "/shop"}),
		to("shop-cart", Match{Hosts: []string{"shop.example.com"}, Path: "/shop/cart/"}),
		to("shop-exact", Match{Hosts: []string{"shop.example.com"}, Path: "/shop/cart", Exact: true}),
		to("shop-canary", Match{Hosts: []string{"shop.example.com"}, Path: "/shop", Conditions: canary}),
		to("shop-post", Match{Hosts: []string{"shop.example.com"}, Path: "/shop", Methods: []string{"POST"}, Conditions: canary}),
		to("shop-tls", Match{Hosts: []string{"shop.example.com"}, Path: "/shop/cart", Scheme: "https"}),
		to("address", Match{Hosts: []string{"[::1]"}}),
	)
	yes := http.Header{"X-Canary": {"no", "yes"}}
	for _, c := range []struct {
		request string
		fields  http.Header
		want    string
	}{
		{"GET http://other.org/", nil, "any"},
		{"GET http://other.org/api/x", nil, "any-api"},
		{"GET http://other.org/apix", nil, "any"},
		{"GET http://example.com/", nil, "any"},
		{"GET http://a.example.com/", nil, "wild"},
		{"GET http://a.b.example.com/api", nil, "wild"},
		{"GET http://a.eu.example.com/api/1", nil, "wild-deep"},
		{"GET http://a.eu.example.com/x", nil, "wild"},
		{"GET http://shop.example.com/", nil, "wild"}, // no rule of its own for this path
		{"GET http://SHOP.example.COM./shop", nil, "shop"},
		{"GET http://shop.example.com/shop/cart", nil, "shop-exact"},
		{"GET https://shop.example.com/shop/cart", nil, "shop-exact"},
		{"GET https://shop.example.com/shop/cart/", nil, "shop-tls"},
		{"GET http://shop.example.com/shop/cart/", nil, "shop-cart"},
		{"GET http://shop.example.com/shop/cart/1", nil, "shop-cart"},
		{"GET http://shop.example.com/shop/x", yes, "shop-canary"},
		{"POST http://shop.example.com/shop/x", yes, "shop-post"},
		{"POST http://shop.example.com/shop/x", nil, "shop"},
		{"GET http://[::1]/api", nil, "address"},
		{"GET http://" + strings.Repeat("a", 300) + ".example.com/", nil, "any"},
	} {
		if got := nameOf(m.Match(ask(c.request, c.fields))); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.request, c.fields, got, c.want)
		}
	}
}

func TestPathsAreComparedDecodedButSplitEncoded(t *testing.T) {
	t.Parallel()
	m := compile(t,
		to("root", Match{Path: "/"}),
		to("admin", Match{Path: "/admin"}),
		to("cafe", Match{Path: "/café"}),
		to("space", Match{Path: "/a%20b"}),
		to("slash", Match{Path: "/a%2Fb"}),
		to("home", Match{Path: "/", Exact: true}),
		to("dir", Match{Path: "/dir/", Exact: true}),
		to("percent", Match{Path: "/100%25"}),
	)
	for path, want := range map[string]string{
		"/admin": "admin", "/%61dmin": "admin", "/%61%64min/x": "admin", "/Admin": "root", "/admin%2Fx": "root", "/admin%2fx/y": "root",
		"/caf%C3%A9": "cafe", "/caf%c3%a9/x": "cafe", "/a%20b/c": "space", "/a+b": "root", "/a%2fb": "slash", "/a/b": "root",
		"/": "home", "//admin": "root", "/dir": "root", "/dir/": "dir", "/dir/x": "root", "/100%25": "percent", "/100%2525": "root",
		"/%": "root", "/%zz": "root", "/%6": "root", "/admin;x": "root", "*": "root", "": "root",
		"/" + strings.Repeat("%61", 300): "root", "/" + strings.Repeat("/", 5000): "root",
	} {
		if got := nameOf(m.Match(&Query{Path: []byte(path)})); got != want {
			t.Errorf("%.40s: %s, want %s", path, got, want)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"X-Version": {"2.1"}, "X-Empty": {""},
		"Cookie": {"a=1; theme=dark ;b", "sid=\"x\"; theme=light; =e"},
	}
	const request = "GET http://h/?page=2&page=10&q=a%20b+c&empty=&bare&%6eame=v&bad=%zz"
	for _, c := range []struct {
		in   Place
		name string
		test Test
		text string
		want bool
	}{
		{InField, "X-Version", Present, "", true},
		{InField, "x-version", Equal, "2.1", true},
		{InField, "x-version", Equal, "2", false},
		{InField, "x-version", Prefix, "2.", true},
		{InField, "x-version", Prefix, "2.1.1", false},
		{InField, "x-version", Matches, `^[0-9]+\.1$`, true},
		{InField, "x-version", Absent, "", false},
		{InField, "x-empty", Present, "", true},
		{InField, "x-empty", Equal, "", true},
		{InField, "x-none", Present, "", false},
		{InField, "x-none", Absent, "", true},
		{InField, "x-none", Prefix, "", false},
		{InCookie, "theme", Equal, "dark", true},
		{InCookie, "theme", Equal, "light", true},
		{InCookie, "THEME", Present, "", false},
		{InCookie, "sid", Equal, `"x"`, true},
		{InCookie, "b", Present, "", false},
		{InQuery, "page", Equal, "10", true},
		{InQuery, "q", Equal, "a b c", true},
		{InQuery, "empty", Equal, "", true},
		{InQuery, "bare", Present, "", true},
		{InQuery, "name", Equal, "v", true},
		{InQuery, "bad", Equal, "%zz", true},
		{InQuery, "pag", Present, "", false},
		{InQuery, "page", Absent, "", false},
	} {
		m := compile(t, to("it", Match{Conditions: []Condition{{c.in, c.name, c.test, c.text}}}))
		if got := m.Match(ask(request, h)) != nil; got != c.want {
			t.Errorf("%v %s %v %q: %v", c.in, c.name, c.test, c.text, got)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	m := compile(t, to("get", Match{Methods: []string{"GET"}}), to("write", Match{Methods: []string{"PUT", "POST"}}))
	for method, want := range map[string]string{"GET": "get", "HEAD": "get", "POST": "write", "PUT": "write", "DELETE": "none", "get": "none", "": "none"} {
		if got := nameOf(m.Match(&Query{Method: []byte(method), Path: []byte("/")})); got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

// many is n rules of every kind, and a query that falls under the last of them.
func many(n int) ([]Rule, *Query) {
	var rules []Rule
	for i := range n {
		host := fmt.Sprintf("h%d.example.com", i)
		rules = append(rules,
			to("root", Match{Hosts: []string{host}}),
			to("api", Match{Hosts: []string{host}, Path: "/api/v1"}),
			to("canary", Match{Hosts: []string{host}, Path: "/api/v1", Methods: []string{"GET"}, Conditions: []Condition{
				{InField, "X-Canary", Equal, "yes"}, {InCookie, "theme", Prefix, "da"}, {InQuery, "q", Equal, "a b"},
			}}),
			to("health", Match{Hosts: []string{host}, Path: "/healthz", Exact: true}))
	}
	rules = append(rules, to("wild", Match{Hosts: []string{"*.example.com"}}), to("any", Match{}))
	q := ask(fmt.Sprintf("GET http://H%d.example.com/api/v1/users/%%61?x=1&q=a%%20b", n-1), nil)
	q.Client = netip.MustParseAddr("192.0.2.7")
	q.Fields = lines{{"X-Canary", []byte("yes")}, {"Cookie", []byte("sid=1; theme=dark")}}
	return rules, q
}

// lines is a Reader that allocates nothing.
type lines []struct {
	name  string
	value []byte
}

func (l lines) Value(name string, i int) ([]byte, bool) {
	for _, f := range l {
		if f.name == name {
			if i == 0 {
				return f.value, true
			}
			i--
		}
	}
	return nil, false
}

func TestMatchAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	rules, q := many(10)
	rules[2].Policy.Rewrite.Strip = true
	for i := range rules {
		if rules[i].Name == "canary" {
			rules[i].Policy.Rewrite = Rewrite{Prefix: "/v2"}
		}
	}
	m := compile(t, rules...)
	buffer := make([]byte, 0, 256)
	key := Key{From: FromCookie, Name: "theme"}
	got := testing.AllocsPerRun(100, func() {
		r := m.Match(q)
		if r == nil || r.Name != "canary" {
			t.Fatalf("matched %s", nameOf(r))
		}
		if p, ok := r.AppendPath(buffer, q.Path); !ok || string(p) != "/v2/users/%61" {
			t.Fatalf("path %s", p)
		}
		h, ok := key.Hash(q, 1)
		if !ok || r.Action.(*Forward).Pick(h) != 0 {
			t.Fatal("no pick")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for a request", got)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 100} {
		rules, full := many(n)
		m := compile(b, rules...)
		plain := ask("GET http://h0.example.com/users/1", nil)
		for name, q := range map[string]*Query{"conditions": full, "plain": plain} {
			b.Run(fmt.Sprintf("%s/hosts=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if m.Match(q) == nil {
						b.Fatal("no rule")
					}
				}
			})
		}
	}
	m := compile(b, to("all", Match{}))
	q := ask("GET http://h0.example.com/users/1", nil)
	b.Run("one rule for everything", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if m.Match(q) == nil {
				b.Fatal("no rule")
			}
		}
	})
}
