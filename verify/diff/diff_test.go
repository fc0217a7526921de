package diff

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"semper/verify"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func response(media, body string) Response {
	return NewResponse(200, http.Header{"Content-Type": {media}}, []byte(body))
}

func comparer(t testing.TB, o Options) *Comparer {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func words(c Comparison) []string {
	var all []string
	for _, d := range c.Differences {
		all = append(all, d.String())
	}
	return all
}

func TestJSON(t *testing.T) {
	t.Parallel()
	c := comparer(t, Options{})
	for _, tc := range []struct {
		was, is string
		want    []string
	}{
		{`{"a":1}`, `{ "a" : 1.0 }`, nil},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{"body.a changed: 9007199254740993 → 9007199254740992"}},
		{`{"a":1,"b":2}`, `{"b":2,"c":[]}`, []string{"body.a removed: 1", "body.c added: []"}},
		{`{"a":null}`, `{"a":false}`, []string{"body.a retyped: null → false"}},
		{`{"a":[{"b":1},{"b":2}]}`, `{"a":[{"b":1},{"b":3}]}`, []string{"body.a[*].b changed: 2 → 3"}},
		{`[1,2,3]`, `[3,1,2]`, []string{"body reordered: [1,2,3] → [3,1,2]"}},
		{`[1,2,3]`, `[1,2]`, []string{"body resized: 3 → 2"}},
		{`{"u":{"17":{"n":"x"},"18":{"n":"y"}}}`, `{"u":{"17":{"n":"x"},"18":{"n":"z"}}}`, []string{`body.u{*}.n changed: "y" → "z"`}},
		{`{"a.b":{"c d":1}}`, `{"a.b":{"c d":2}}`, []string{`body["a.b"]["c d"] changed: 1 → 2`}},
		{`{}`, `{} x`, []string{"body retyped: JSON, 2 bytes, SHA-256 44136fa3… → bytes, 4 bytes, SHA-256 bbbe9eb3…"}},
	} {
		got := c.Compare("", now, response("application/json", tc.was), response("application/problem+json; charset=utf-8", tc.is))
		got.Differences = slices.DeleteFunc(got.Differences, func(d Difference) bool { return d.Path[0] == "header" })
		if w := words(got); !slices.Equal(w, tc.want) {
			t.Errorf("%s, %s:\n got %q\nwant %q", tc.was, tc.is, w, tc.want)
		}
	}
}

func TestOtherBodies(t *testing.T) {
	t.Parallel()
	c := comparer(t, Options{Fields: []string{"location"}})
	large := response("video/mp4", "0123")
	large.Body, large.Kept = nil, false
	for _, tc := range []struct {
		was, is Response
		want    []string
	}{
		{response("text/plain", "a \n"), response("text/plain", "a"), nil},
		{response("text/plain", "a"), response("text/plain", "b"), []string{`body changed: "a" → "b"`}},
		{response("image/png", "\x00"), response("image/png", "\x01"), []string{"body changed: 1 bytes, SHA-256 6e340b9c… → 1 bytes, SHA-256 4bf5122f…"}},
		{large, response("video/mp4", "0123"), nil},
		{large, response("video/mp4", "012"), []string{"body changed: 4 bytes, SHA-256 1be2e452… → 3 bytes, SHA-256 bf6aaaab…"}},
		{response("text/html", "<p class='b a'>hello  <b>you</b>\n</p><!-- 1 -->"), response("text/html", "<p class=\"a b\">hello <b>you</b></p>"), nil},
		{response("text/html", "<ul><li>1<li>2</ul>"), response("text/html", "<ul><li>1<li>3</ul>"), []string{`body.html.body.ul.li.text changed: "2" → "3"`}},
		{response("text/html", "<p>1"), response("text/html", "<p id=x>1<p>2"), []string{"body.html.body resized: p → p p"}},
		{response("text/html", "<p>1"), response("text/html", "<p id=x>1"), []string{`body.html.body.p.@id added: "x"`}},
		{NewResponse(200, http.Header{}, nil), NewResponse(302, http.Header{"Location": {"/a"}}, nil), []string{"status changed: 200 → 302", `header.location added: "/a"`}},
	} {
		got := words(c.Compare("", now, tc.was, tc.is))
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q, %q:\n got %q\nwant %q", tc.was.Body, tc.is.Body, got, tc.want)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	was := `{"total":100,"name":"x","items":[{"price":10,"at":"2026-01-01"}],"old":7}`
	is := `{"total":101,"full":"x","items":[{"price":12,"at":"2026-01-02"}],"old":7,"extra":{"a":1}}`
	for _, tc := range []struct {
		rules       []Rule
		left, stale int
	}{
		{nil, 6, 0},
		{[]Rule{{Path: "body.total", Tolerance: .02}}, 5, 0},
		{[]Rule{{Path: "body.total", Tolerance: .001}}, 6, 1},
		{[]Rule{{Path: "body.name", RenamedTo: "full"}}, 4, 0},
		{[]Rule{{Path: "body.name", RenamedTo: "other"}}, 6, 1},
		{[]Rule{{Path: "body.extra", Kind: Added}}, 5, 0},
		{[]Rule{{Path: "body.extra", Kind: Added, Until: now}}, 6, 1},
		{[]Rule{{Path: "body.extra", Kind: Added, Endpoint: "GET /a"}}, 5, 0},
		{[]Rule{{Path: "body.extra", Kind: Added, Endpoint: "GET /b"}}, 6, 1},
		{[]Rule{{Path: "body.**.at", Was: `^"2026-01-01"$`, Is: `^"2026-`}}, 5, 0},
		{[]Rule{{Path: "body.**.at", Was: `^"2025`}}, 6, 1},
		{[]Rule{{Path: "body.items[*].*"}}, 4, 0},
		{[]Rule{{Path: "**"}}, 0, 0},
		{[]Rule{{Path: "status", Ignore: true}}, 6, 0},
		{[]Rule{{Path: "status"}}, 6, 1},
	} {
		c := comparer(t, Options{Rules: tc.rules})
		got := c.Compare("GET /a", now, response("application/json", was), response("application/json", is))
		if len(got.Differences) != tc.left || got.Expected != 6-tc.left || len(c.Stale()) != tc.stale {
			t.Errorf("%+v: %d left, %d expected, %d stale: %q", tc.rules, len(got.Differences), got.Expected, len(c.Stale()), words(got))
		}
	}
	for _, bad := range []Rule{
		{}, {Path: "body..a"}, {Path: "body."}, {Path: `body["a`}, {Path: "body", Kind: "chnaged"}, {Path: "body", Tolerance: -1},
		{Path: "body", Was: "("}, {Path: "body.a", RenamedTo: "b", Kind: Added}, {Path: "a b"},
	} {
		if _, err := New(Options{Rules: []Rule{bad}}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	c := comparer(t, Options{Fields: []string{"Set-Cookie", "X-Note"}, Mask: []string{"nick"}})
	secrets := []string{"hunter2", "ann@example.com", "4111 1111 1111 1111", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "abcdef123456", "annie", "s3ss10n"}
	was := response("application/json", fmt.Sprintf(`{"user":{"accessToken":%q,"note":"mail %s or pay %s","new-password":%q,"nick":"x"},"list":[%q]}`,
		"old", "bob@example.com", "4000 0000 0000 0002", "older", "x"))
	is := response("application/json", fmt.Sprintf(`{"user":{"accessToken":%q,"note":"mail %s or pay %s","new-password":%q,"nick":%q},"list":["Bearer %s","%s"]}`,
		secrets[3], secrets[1], secrets[2], secrets[0], secrets[5], secrets[4], secrets[3]))
	is.Header.Set("Set-Cookie", "id="+secrets[6])
	is.Header.Set("X-Note", "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")
	got := c.Compare("", now, was, is)
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if strings.Contains(string(b), s) {
			t.Errorf("%q is shown: %s", s, b)
		}
	}
	if len(got.Differences) < 6 {
		t.Errorf("too few differences to show anything: %s", b)
	}
}

// One changed field, one list in another order, a time, a random identifier, and a new field that was declared: those two that
// were not declared are told, and nothing else.
func TestOnlyWhatWasNotDeclaredIsTold(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	c := comparer(t, Options{Rules: []Rule{{Path: "body.currency", Kind: Added, Why: "asked for by accounting"}}})
	answer := func(price int, tags, more string, tick int) Response {
		return response("application/json", fmt.Sprintf(`{"id":"%016x","at":%d,"items":[{"price":%d,"tags":[%s]}]%s}`, r.Uint64(), tick, price, tags, more))
	}
	var b Board
	for i := range 400 {
		base := answer(i, `"a","b","c"`, "", 3*i)
		second := answer(i, `"a","b","c"`, "", 3*i+1)
		candidate := answer(i+1, `"c","a","b"`, `,"currency":"EUR"`, 3*i+2)
		noise := c.Compare("GET /cart", now, base, second)
		b.Add("GET /cart", c.Compare("GET /cart", now, base, candidate), &noise)
	}
	var told []string
	for i, p := range b.Places {
		if s := b.Status(i); s == Different || s == Novel {
			told = append(told, p.Path.String()+" "+string(p.Kind))
		} else if s != Noisy {
			t.Errorf("%s is %s", p.Path, s)
		}
	}
	slices.Sort(told)
	if want := []string{"body.items[*].price changed", "body.items[*].tags reordered"}; !slices.Equal(told, want) {
		t.Errorf("told is %q", told)
	}
	v := b.Verdict(now, 100)
	if v.Outcome != verify.Worse || !strings.Contains(v.Why, "GET /cart at body.items[*].") {
		t.Errorf("%s: %s", v.Outcome, v.Why)
	}
	if len(c.Stale()) != 0 {
		t.Error("the rule is told as stale")
	}
}

// A candidate that is the same is noisy at as many places as the baseline itself, and none of them is told.
func TestNoiseIsNotTold(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	c := comparer(t, Options{})
	answer := func() Response {
		var b strings.Builder
		for f := range 20 {
			v := 0
			if r.IntN(10+20*f) == 0 {
				v = r.IntN(100)
			}
			fmt.Fprintf(&b, `,"f%c":%d`, 'a'+f, v)
		}
		return response("application/json", `{"x":0`+b.String()+`}`)
	}
	const runs, alpha = 100, .05
	told := 0
	for range runs {
		b := Board{Alpha: alpha}
		for range 150 {
			base := answer()
			noise := c.Compare("", now, base, answer())
			b.Add("", c.Compare("", now, base, answer()), &noise)
		}
		if b.Verdict(now, 1).Outcome == verify.Worse {
			told++
		}
	}
	if told > 12 { // 5 and three standard deviations
		t.Errorf("%d of %d boards tell a difference at %v", told, runs, alpha)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, `{"a":[{"b":2},1]}`, "application/json")
	f.Add(`<p>a<b>c`, `<p>a`, "text/html")
	c := comparer(f, Options{Rules: []Rule{{Path: "body.**.b"}}})
	f.Fuzz(func(t *testing.T, was, is, media string) {
		a, b := response(media, was), response(media, is)
		one, other := c.Compare("", now, a, b), c.Compare("", now, b, a)
		if (len(one.Differences)+one.Expected == 0) != (len(other.Differences)+other.Expected == 0) {
			t.Errorf("there and back: %q, %q", words(one), words(other))
		}
		if same := c.Compare("", now, a, a); len(same.Differences) > 0 {
			t.Errorf("a response differs from itself: %q", words(same))
		}
		for _, d := range one.Differences {
			p, err := ParsePattern(d.Path.String())
			if err != nil || !p.Matches(d.Path) {
				t.Errorf("%q is no pattern of its own place: %v", d.Path, err)
			}
		}
	})
}
