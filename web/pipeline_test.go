package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"semper"
	"semper/api"
	"semper/api/apitest"
	"semper/pipeline/course"
)

// asking is a semper with a run that waits for ops, one that failed, and a line that is stopped.
func asking(t *testing.T) *apitest.Semper {
	t.Helper()
	s := apitest.New()
	t.Cleanup(s.Close)
	s.Stall("")
	s.Exit("./smoke-blog", 3)
	for _, app := range []string{"shop", "blog"} {
		deploy(t, s, app, "1", semper.RolloutDone)
		d := semper.DigestOf([]byte(app + "2"))
		if err := s.PutArtifact(t.Context(), d, strings.NewReader(app+"2")); err != nil {
			t.Fatal(err)
		}
		r := api.DeployRequest{Artifact: d, By: "mira " + hostile, Spec: semper.Spec{App: app, Services: map[string]semper.Service{"web": {Command: []string{"./serve"}}}}}
		r.Pipeline = &semper.Pipeline{App: app, Stages: []semper.Stage{
			{Environment: "beta", Gates: []semper.Gate{{Kind: semper.GateCommand, Command: []string{"./smoke-" + app}}, {Kind: semper.GateHTTP, URL: "http://beta.example.com/ready"}}},
			{Environment: "production", Gates: []semper.Gate{{Kind: semper.GateApproval, Approvers: []string{"ops"}}}},
		}}
		if _, err := s.StartRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SetLine(api.WithCaller(t.Context(), api.Caller{Name: "ann"}), "blog", true, "incident 17 "+hostile); err != nil {
		t.Fatal(err)
	}
	return s
}

// as is h for somebody.
func as(h http.Handler, c api.Caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(api.WithCaller(r.Context(), c)))
	})
}

func press(t *testing.T, h http.Handler, path, why string) *http.Response {
	t.Helper()
	return pressed(t, h, path, "why", why)
}

// pressed sends a form; it is pairs.
func pressed(t *testing.T, h http.Handler, path string, form ...string) *http.Response {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(form); i += 2 {
		v.Set(form[i], form[i+1])
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestWhatWaitsForSomebody(t *testing.T) {
	t.Parallel()
	s := asking(t)
	h := Handler(s)
	olga, dev, vera := api.Caller{Name: "olga", Role: api.Deployer, Groups: []string{"ops"}}, api.Caller{Name: "dev", Role: api.Deployer}, api.Caller{Name: "vera", Role: api.Viewer, Groups: []string{"ops"}}
	const approve, reject, again = `formaction="/run/shop/p-1/approve"`, `formaction="/run/shop/p-1/reject"`, `formaction="/run/blog/p-2/rerun"`
	for _, c := range []struct {
		who   api.Caller
		has   []string
		lacks []string
	}{
		{olga, []string{approve, reject, again}, nil},
		{dev, []string{reject, again}, []string{approve}},
		{vera, nil, []string{"<form", "<button"}},
	} {
		for _, path := range []string{"/", "/app/shop/production"} {
			res := get(t, as(h, c.who), path)
			text := body(t, res)
			checkPage(t, path, res, text)
			want := append([]string{"waits for a yes", "r2 asks to enter production", "p-1"}, c.has...)
			if path == "/" {
				want = append(want, "exit code 3", "says so", "The line is stopped", "incident 17")
			} else {
				want = append(want, "Before production", "In beta", "serves r2")
			}
			for _, word := range want {
				if !strings.Contains(text, word) && (path == "/" || !strings.Contains(word, "/blog/")) {
					t.Errorf("%s for %s does not have %q", path, c.who.Name, word)
				}
			}
			for _, word := range c.lacks {
				if strings.Contains(text, word) {
					t.Errorf("%s for %s has %q", path, c.who.Name, word)
				}
			}
		}
	}
	if res := press(t, as(h, dev), "/run/shop/p-1/approve", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("dev says yes: %s", res.Status)
	}
	if res := press(t, as(h, olga), "/run/shop/p-1/explode", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("a verb that there is not: %s", res.Status)
	}
	if res := press(t, as(h, olga), "/run/shop/p-1/approve", strings.Repeat("x", 2*mostWhy)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a reason without an end: %s", res.Status)
	}
	if res := press(t, as(h, olga), "/run/shop/p-1/approve", "seen"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("olga says yes: %s", res.Status)
	}
	p, err := s.Pipelines(t.Context(), "shop")
	if err != nil || p[0].Runs[0].State != course.Passed || p[0].Runs[0].Stages[1].Gates[0].By != "olga" || p[0].Runs[0].Stages[1].Gates[0].Why != "seen" {
		t.Errorf("%+v, %v", p, err)
	}
	if res := press(t, as(h, olga), "/run/shop/p-1/approve", ""); res.StatusCode != http.StatusConflict {
		t.Errorf("a second yes: %s", res.Status)
	}
	s.Exit("./smoke-blog", 0)
	if res := press(t, as(h, dev), "/run/blog/p-2/rerun", ""); res.StatusCode != http.StatusSeeOther {
		t.Errorf("run again: %s", res.Status)
	}
	if text := body(t, get(t, as(h, olga), "/")); strings.Contains(text, "did not come through") || !strings.Contains(text, "formaction=\"/run/blog/p-2/approve\"") {
		t.Error("the run that was run again does not ask")
	}
}

// A button counts only on this page: another site's form brings the cookie at most, and is refused.
func TestNoFormOfAnotherSite(t *testing.T) {
	t.Parallel()
	s := asking(t)
	h := api.NewServer(s, api.ServerOptions{Token: func() string { return "0123456789abcdef0123456789abcdef" }, UI: Handler(s)})
	send := func(header ...string) int {
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, (&httptest.Server{}).Listener)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://semper.example.com/run/shop/p-1/reject", strings.NewReader("why=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const bearer = "Bearer 0123456789abcdef0123456789abcdef"
	for what, got := range map[string]int{
		"another site":         send("Authorization", bearer, "Sec-Fetch-Site", "cross-site"),
		"a sibling":            send("Authorization", bearer, "Sec-Fetch-Site", "same-site"),
		"an old browser":       send("Authorization", bearer, "Origin", "https://evil.example.com"),
		"nobody is logged in":  send("Sec-Fetch-Site", "same-origin"),
		"a cookie of nobody's": send("Sec-Fetch-Site", "same-origin", "Cookie", "semper_session=x"),
	} {
		if got != http.StatusForbidden && got != http.StatusUnauthorized {
			t.Errorf("%s: %d", what, got)
		}
	}
	if p, err := s.Pipelines(t.Context(), "shop"); err != nil || p[0].Runs[0].State != course.Running {
		t.Errorf("%+v, %v", p, err)
	}
	if got := send("Authorization", bearer, "Sec-Fetch-Site", "same-origin"); got != http.StatusSeeOther {
		t.Errorf("this page: %d", got)
	}
}
