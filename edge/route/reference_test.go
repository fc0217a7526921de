package route

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The reference reads the precedence of the package's doc literally: it sorts all rules, host by host, and takes the first
// that fits. It shares no code with the matcher, and leaves parsing to the standard library.

// A rank is where a rule at one of its hosts stands in the total order; smaller wins.
type rank struct {
	host, labels int // 0 exact, 1 wildcard, 2 any; longer wildcards first
	path, depth  int // 0 exact, 1 prefix; longer prefixes first
	conditions   int
	order        int
}

func (a rank) compare(b rank) int {
	return cmp.Or(a.host-b.host, b.labels-a.labels, a.path-b.path, b.depth-a.depth, b.conditions-a.conditions, a.order-b.order)
}

func slowMatch(rules []Rule, request *http.Request, path string) string {
	best, name := rank{host: 3}, "none"
	for i, r := range rules {
		for _, host := range orAnyHost(r.Match.Hosts) {
			k, ok := fits(r.Match, host, request, path)
			if k.order = i; ok && k.compare(best) < 0 {
				best, name = k, r.Name
			}
		}
	}
	return name
}

func orAnyHost(hosts []string) []string {
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

func fits(m Match, host string, r *http.Request, path string) (k rank, ok bool) {
	asked := strings.TrimSuffix(strings.ToLower(r.Host), ".")
	switch suffix, wild := strings.CutPrefix(host, "*"); {
	case host == "":
		k.host = 2
	case wild:
		k.host, k.labels = 1, strings.Count(suffix, ".")
		if !strings.HasSuffix(asked, suffix) {
			return k, false
		}
	case host != asked:
		return k, false
	}
	want, have := segments(m.Path), segments(path)
	if m.Exact {
		ok = slices.Equal(want, have)
	} else {
		if len(want) > 0 && want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		k.path, k.depth = 1, len(want)
		ok = len(have) >= len(want) && slices.Equal(want, have[:len(want)])
	}
	k.conditions = len(m.Conditions)
	if m.Scheme != "" {
		k.conditions++
		ok = ok && (m.Scheme == "https") == (r.TLS != nil)
	}
	if len(m.Methods) > 0 {
		k.conditions++
		ok = ok && (slices.Contains(m.Methods, r.Method) || r.Method == "HEAD" && slices.Contains(m.Methods, "GET"))
	}
	for _, c := range m.Conditions {
		ok = ok && holds(c, r)
	}
	return k, ok
}

// segments is a path split, then decoded.
func segments(path string) []string {
	var all []string
	for s := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		d, err := url.PathUnescape(s)
		if err != nil {
			panic(err)
		}
		all = append(all, d)
	}
	return all
}

func holds(c Condition, r *http.Request) bool {
	var values []string
	switch c.In {
	case InField:
		values = r.Header.Values(c.Name)
	case InCookie:
		for _, k := range r.CookiesNamed(c.Name) {
			values = append(values, k.Value)
		}
	case InQuery:
		values = r.URL.Query()[c.Name]
	}
	some := slices.ContainsFunc(values, func(v string) bool {
		switch c.Test {
		case Equal:
			return v == c.Value
		case Prefix:
			return strings.HasPrefix(v, c.Value)
		case Matches:
			return regexp.MustCompile(c.Value).MatchString(v)
		}
		return true
	})
	return some != (c.Test == Absent)
}

var (
	hostGen    = rapid.SampledFrom([]string{"a.example", "b.example", "x.a.example", "*.example", "*.a.example", "*.x.a.example"})
	segmentGen = rapid.SampledFrom([]string{"a", "b", "ab", "%61", "a%2Fb", "", "c%20c"})
	methodGen  = rapid.SampledFrom([]string{"GET", "HEAD", "POST"})
	nameGen    = rapid.SampledFrom([]string{"X-A", "X-B"})
	valueGen   = rapid.SampledFrom([]string{"", "1", "12", "2"})
)

func pathGen(least int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(segmentGen, least, 4).Draw(t, "segments"), "/")
	})
}

var ruleGen = rapid.Custom(func(t *rapid.T) Match {
	m := Match{
		Hosts: rapid.SliceOfNDistinct(hostGen, 0, 2, rapid.ID).Draw(t, "hosts"), Path: pathGen(0).Draw(t, "path"), Exact: rapid.IntRange(0, 3).Draw(t, "exact") == 0,
		Scheme:  rapid.SampledFrom([]string{"", "", "http", "https"}).Draw(t, "scheme"),
		Methods: rapid.SliceOfNDistinct(methodGen, 0, 1, rapid.ID).Draw(t, "methods"),
	}
	if !m.Exact { // prefixes end without a slash
		m.Path = strings.TrimRight(m.Path, "/") + rapid.SampledFrom([]string{"", "/"}).Draw(t, "slash")
	}
	if m.Path == "" {
		m.Path = "/"
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "conditions") {
		m.Conditions = append(m.Conditions, Condition{
			In: Place(rapid.IntRange(0, 2).Draw(t, "in")), Name: nameGen.Draw(t, "name"),
			Test: Test(rapid.IntRange(0, 4).Draw(t, "test")), Value: valueGen.Draw(t, "value"),
		})
	}
	return m
})

// drawRequest is a request and the query for it.
func drawRequest(t *rapid.T) (*http.Request, *Query) {
	host := strings.ReplaceAll(rapid.SampledFrom([]string{"a.example", "b.example", "x.a.example", "y.x.a.example", "B.EXAMPLE.", "example", "other"}).Draw(t, "host"), "*", "w")
	path := pathGen(1).Draw(t, "asked")
	var query, cookies []string
	h := http.Header{}
	for range rapid.IntRange(0, 4).Draw(t, "pairs") {
		name, value := nameGen.Draw(t, "name"), valueGen.Draw(t, "value")
		switch rapid.IntRange(0, 2).Draw(t, "place") {
		case 0:
			h.Add(name, value)
		case 1:
			cookies = append(cookies, name+"="+value)
		case 2:
			query = append(query, name+"="+value)
		}
	}
	if len(cookies) > 0 {
		h["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	scheme := rapid.SampledFrom([]string{"http", "https"}).Draw(t, "scheme")
	request := fmt.Sprintf("%s %s://%s%s?%s", methodGen.Draw(t, "method"), scheme, host, path, strings.Join(query, "&"))
	q := ask(request, h)
	r := &http.Request{Method: string(q.Method), Host: host, Header: h, URL: &url.URL{RawQuery: string(q.Query)}}
	if q.TLS {
		r.TLS = tlsState
	}
	return r, q
}

func TestMatchEqualsTheReference(t *testing.T) {
	t.Parallel()
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		var rules []Rule
		for i := range rapid.IntRange(1, 12).Draw(t, "rules") {
			r := to(fmt.Sprint("r", i), ruleGen.Draw(t, "rule"))
			if _, err := Compile(append(slices.Clone(rules), r)); err == nil { // else it could never win
				rules = append(rules, r)
			}
		}
		m, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 16 {
			r, q := drawRequest(t)
			want := slowMatch(rules, r, string(q.Path))
			if got := nameOf(m.Match(q)); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			if want != "none" {
				matched++
			}
		}
	})
	if matched < 50 {
		t.Errorf("only %d requests fell under a rule: the test says little", matched)
	}
}

// tlsState makes a request one over TLS.
var tlsState = &tls.ConnectionState{}
