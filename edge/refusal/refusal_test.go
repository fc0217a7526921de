package refusal

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"semper/edge/route"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	page := &route.ErrorPage{From: 503, To: 503, Type: "application/json", Body: []byte(`{"sorry":true}`)}
	for _, tc := range []struct {
		name, method, accept string
		page                 *route.ErrorPage
		kind, body           string
	}{
		{"a program", http.MethodGet, "*/*", nil, "text/plain; charset=utf-8", "503 Service Unavailable\nThe app has no instance that is ready.\nrequest <id>\n"},
		{"a person", http.MethodGet, "text/html", nil, "text/html; charset=utf-8", "<small>request &lt;id&gt;</small>"},
		{"a page of the rule's", http.MethodGet, "text/html", page, "application/json", `{"sorry":true}`},
		{"a head", http.MethodHead, "", nil, "text/plain; charset=utf-8", ""},
	} {
		r := httptest.NewRequest(tc.method, "/", nil)
		r.Header.Set("Accept", tc.accept)
		w := httptest.NewRecorder()
		Backend.Answer(w, r, "<id>", tc.page)
		h := w.Header()
		if w.Code != 503 || h.Get("X-Semper-Error") != "no-backend" || h.Get("Retry-After") != "1" || h.Get("Content-Type") != tc.kind || h.Get("Content-Length") == "" {
			t.Errorf("%s: %d %v", tc.name, w.Code, h)
		}
		if got := w.Body.String(); !strings.Contains(got, tc.body) || tc.body == "" && got != "" {
			t.Errorf("%s: body %q", tc.name, got)
		}
	}
}

func TestExamine(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"http://Shop.Example:80/a": "", "http://shop.example/a%2e%2e/b": "", "http://shop.example/%2e%2e/b": "bad-target", "http://shop.example/a%5cb": "bad-target",
	} {
		host, bad := Examine(httptest.NewRequest(http.MethodGet, target, nil))
		switch {
		case want == "" && (bad != nil || host != "shop.example"):
			t.Errorf("%s: %q, %v", target, host, bad)
		case want != "" && (bad == nil || bad.Word != want):
			t.Errorf("%s: %v, want %s", target, bad, want)
		}
	}
	if _, bad := Examine(httptest.NewRequest(http.MethodConnect, "shop.example:443", nil)); bad == nil || bad.Status != http.StatusMethodNotAllowed {
		t.Errorf("CONNECT: %v", bad)
	}
}
