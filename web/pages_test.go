package web

import (
	"cmp"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"semper"
	"semper/api/apitest"
)

// TestEveryLinkLeadsToAWholePage walks all pages from the overview and holds each against what every
// page must be.
func TestEveryLinkLeadsToAWholePage(t *testing.T) {
	t.Parallel()
	h := Handler(stage(t))
	href := regexp.MustCompile(`(?:href|src)="(/[^"]*)"`)
	seen := map[string]bool{}
	for todo := []string{"/"}; len(todo) > 0; todo = todo[1:] {
		path := html.UnescapeString(todo[0])
		if seen[path] {
			continue
		}
		seen[path] = true
		res := get(t, h, path)
		if to := res.Header.Get("Location"); res.StatusCode == http.StatusSeeOther {
			todo = append(todo, to)
			continue
		}
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
			continue
		}
		text := body(t, res)
		if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			continue
		}
		checkPage(t, path, res, text)
		for _, m := range href.FindAllStringSubmatch(text, -1) {
			todo = append(todo, m[1])
		}
	}
	for _, want := range []string{"/app/shop/production", "/app/blog/production", "/release/shop/r2", "/crash/c-1", "/event", "/event?app=shop&env=production"} {
		if !seen[want] {
			t.Errorf("no link leads to %s; there are %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
}

func checkPage(t *testing.T, path string, res *http.Response, text string) {
	t.Helper()
	if got := res.Header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("%s: Content-Security-Policy %q", path, got)
	}
	for what, bad := range map[string]string{
		"inline script": `<script[^>]*>[^<]`, "inline style": `<style|\sstyle=`, "event attribute": `<[^>]*\son[a-z]+=`,
		"text of a program run as markup": `<img|alert\("x"\)</script>`, "template left over": `\{\{|ZgotmplZ|%!`,
		"a heading column without scope": `<th(?: class="[^"]*")?>`, "a value of a variable": `value-of-level`,
	} {
		if m := regexp.MustCompile(bad).FindString(text); m != "" {
			t.Errorf("%s: %s: %q", path, what, m)
		}
	}
	if n := strings.Count(text, "<h1"); n != 1 {
		t.Errorf("%s: %d headings of the first level", path, n)
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("%s: id %q twice", path, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if ids[m[1]] == 0 {
			t.Errorf("%s: nothing has the id %q", path, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`<svg[^>]*>`).FindAllString(text, -1) {
		if !strings.Contains(m, `aria-hidden="true"`) {
			t.Errorf("%s: a picture without words is not hidden: %s", path, m)
		}
	}
	if open := unclosed(text); open != "" {
		t.Errorf("%s: %s", path, open)
	}
}

// unclosed checks that every element ends where it should.
func unclosed(text string) string {
	void := []string{"meta", "link", "br", "img"}
	var open []string
	for _, m := range regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*?(/?)>`).FindAllStringSubmatch(text, -1) {
		switch {
		case m[3] == "/" || slices.Contains(void, m[2]):
		case m[1] == "":
			open = append(open, m[2])
		case len(open) == 0 || open[len(open)-1] != m[2]:
			return "</" + m[2] + "> closes nothing: open are " + strings.Join(open, " ")
		default:
			open = open[:len(open)-1]
		}
	}
	return strings.Join(open, " ")
}

func TestPagesTellWhatHappenedWithoutScript(t *testing.T) {
	t.Parallel()
	h := Handler(stage(t))
	for path, wants := range map[string][]string{
		"/":                    {"shop", "blog", "wiki", "rolled-back", "crash loop of blog/web.r2.1: out of memory", "semper keeper", "edge-1", "c-1"},
		"/app/shop/production": {"serving", "2 of 2", "exit code 3", "web.r2.1", "1,200,000", "restarted 1 time", "semper rollback -a shop", "signal SIGSEGV", "stage", "failed", "shop.example.com/"},
		"/app/wiki/production": {"old release stays warm", "semper promote -a wiki", `aria-current="step"`, "ahead"},
		"/release/shop/r2":     {"Changed since", "artifact", "./serve", "KEY", "(secret)"},
		"/crash/c-1":           {"signal SIGSEGV", "panic: nil", "restart at once", "24.0 MiB", "semper crash show c-1"},
		"/event":               {"rollout.done", "instance.crashed"},
	} {
		text := html.UnescapeString(body(t, get(t, h, path)))
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not tell %q", path, want)
			}
		}
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	s := apitest.New()
	defer s.Close()
	res := get(t, Handler(s), "/")
	text := body(t, res)
	checkPage(t, "/", res, text)
	if !strings.Contains(text, "Nothing is deployed yet") {
		t.Error("an empty server does not say so")
	}
}

func TestErrorsArePages(t *testing.T) {
	t.Parallel()
	s := stage(t)
	h := Handler(s)
	for path, want := range map[string]int{
		"/nope": 404, "/app/none/production": 404, "/app/shop/beta": 404, "/crash/c-99": 404, "/release/shop/r99": 404, "/release/none/r1": 404, "/ui/asset/none": 404,
	} {
		res := get(t, h, path)
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	for code, want := range map[semper.Code]int{
		semper.Unavailable: 503, semper.Timeout: 504, semper.Internal: 500, semper.Forbidden: 403, semper.Invalid: 400,
	} {
		s.Down(&semper.Error{Code: code, Message: "the store is <away>", Hint: "semper doctor"})
		res := get(t, h, "/")
		text := body(t, res)
		if res.StatusCode != want || !strings.Contains(text, "the store is &lt;away&gt;") || !strings.Contains(text, "semper doctor") {
			t.Errorf("%s: %s with %q", code, res.Status, text)
		}
		checkPage(t, "/ while "+string(code), res, text)
	}
}

func TestOnlyReading(t *testing.T) {
	t.Parallel()
	h := Handler(stage(t))
	for _, path := range []string{"/", "/app/shop/production", "/ui/events"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	res := get(t, h, "/app/shop")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/app/shop/production" {
		t.Errorf("/app/shop leads with %s to %q", res.Status, res.Header.Get("Location"))
	}
}

func TestAssetsMayBeKept(t *testing.T) {
	t.Parallel()
	a := loadAssets()
	if n := len(a.content["semper.js"]); n == 0 || n > 6<<10 {
		t.Errorf("the script has %d bytes; 6 KiB are allowed", n)
	}
	h := Handler(stage(t))
	for name, kind := range map[string]string{"semper.js": "text/javascript", "semper.css": "text/css", "icon.svg": "image/svg+xml"} {
		res := get(t, h, "/ui/asset/"+name+"?v="+a.version)
		if !strings.HasPrefix(res.Header.Get("Content-Type"), kind) || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name, res.Header)
		}
		if old := get(t, h, "/ui/asset/"+name+"?v=old"); strings.Contains(old.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s of another version would be kept", name)
		}
	}
}

// TestContrast holds the text colours against both backgrounds, in light and dark: WCAG 2.2 AA.
func TestContrast(t *testing.T) {
	t.Parallel()
	css := string(loadAssets().content["semper.css"])
	variable := regexp.MustCompile(`--([a-z]+): #([0-9a-f]{3,6});`)
	blocks := strings.SplitN(css, "prefers-color-scheme: dark", 2)
	end := strings.Index(blocks[1], "}")
	for scheme, block := range map[string]string{"light": blocks[0], "dark": blocks[1][:end]} {
		colour := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(block, -1) {
			colour[m[1]] = cmp.Or(map[bool]string{true: m[2] + m[2]}[len(m[2]) == 3], m[2])
		}
		for _, text := range []string{"text", "quiet", "link", "ok", "busy", "warn", "bad", "off"} {
			for _, ground := range []string{"bg", "card", "soft"} {
				if c := contrast(t, colour[text], colour[ground]); c < 4.5 && (ground != "soft" || text == "text") {
					t.Errorf("%s: %s on %s has contrast %.2f", scheme, text, ground, c)
				}
			}
		}
	}
}
