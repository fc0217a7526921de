package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"semper"
	"semper/api"
	"semper/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// overUnix serves s on a unix socket and gives a client of it.
func overUnix(t *testing.T, s api.Service, o api.ServerOptions) *api.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: api.NewServer(s, o), ConnContext: api.ConnContext}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	c, err := api.NewClient("unix://"+path, api.ClientOptions{Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = srv.Close()
		<-done
		_ = os.RemoveAll(dir)
	})
	return c
}

func fresh(t *testing.T) *apitest.Semper {
	s := apitest.New()
	t.Cleanup(s.Close)
	return s
}

func spec(instances int) semper.Spec {
	return semper.Spec{
		App:      "bar",
		Services: map[string]semper.Service{"web": {Command: []string{"./bar"}, Instances: instances, Env: map[string]semper.EnvVar{"A": {Value: "1"}, "B": {Secret: "b"}}}},
		Routes:   []semper.RouteRule{{Path: "/", To: "web"}},
	}.WithDefaults()
}

func upload(t *testing.T, s api.Service, content string) semper.Digest {
	t.Helper()
	d := semper.DigestOf([]byte(content))
	if err := s.PutArtifact(t.Context(), d, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return d
}

func deploy(t *testing.T, s api.Service, content string, instances int) semper.Rollout {
	t.Helper()
	ro, err := s.Deploy(t.Context(), api.DeployRequest{Spec: spec(instances), Artifact: upload(t, s, content), By: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	return ro
}

func live(t *testing.T, s api.Service, ro semper.Rollout) semper.Rollout {
	t.Helper()
	ro, err := s.WaitRollout(t.Context(), "bar", "", ro.ID, "drained")
	if err != nil {
		t.Fatal(err)
	}
	return ro
}

// TestEverythingCrossesTheWire asks the same of the service and of a client of it.
func TestEverythingCrossesTheWire(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	c := overUnix(t, s, api.ServerOptions{PeerCredCheck: true})
	ctx := t.Context()

	d := semper.DigestOf([]byte("one"))
	if has, err := c.HasArtifact(ctx, d); has || err != nil {
		t.Fatalf("HasArtifact before = %v, %v", has, err)
	}
	live(t, c, deploy(t, c, "one", 2))
	if has, err := c.HasArtifact(ctx, d); !has || err != nil {
		t.Fatalf("HasArtifact after = %v, %v", has, err)
	}
	if ro := live(t, c, deploy(t, c, "two", 3)); ro.State != semper.RolloutWatch || ro.By != "ann" {
		t.Fatalf("second deploy: %+v", ro)
	}
	s.Count("bar", "", "r2", semper.Ledger{Accepted: 7, Served: 6, AppErrors: 1})
	s.Print("bar/web.r2.1", "r2", "hello <world> & \u2028 ünïcode")
	crash := s.CrashInstance("bar", "", "bar/web.r2.1", semper.Reason{Kind: semper.ReasonExit, Code: 3}, "boom")

	same := func(name string, ask func(api.Service) (any, error)) {
		t.Helper()
		want, err := ask(s)
		if err != nil {
			t.Errorf("%s of the service: %v", name, err)
		}
		got, err := ask(c)
		if err != nil {
			t.Errorf("%s of the client: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs over the wire (-service +client):\n%s", name, diff)
		}
	}
	request := api.DeployRequest{Spec: spec(5), Artifact: d}
	same("info", func(s api.Service) (any, error) { return s.Info(ctx) })
	same("metrics", func(s api.Service) (any, error) { return s.Metrics(ctx, "edge-1", "application/openmetrics-text") })
	same("traffic", func(s api.Service) (any, error) { return s.Traffic(ctx, "bar", "production") })
	same("certificates", func(s api.Service) (any, error) { return s.Certificates(ctx) })
	same("overview", func(s api.Service) (any, error) { return s.Overview(ctx) })
	same("status", func(s api.Service) (any, error) { return s.Status(ctx, "bar", "production") })
	same("plan", func(s api.Service) (any, error) { return s.Plan(ctx, request) })
	same("releases", func(s api.Service) (any, error) { return s.Releases(ctx, "bar") })
	same("diff", func(s api.Service) (any, error) { return s.ReleaseDiff(ctx, "", "r1", "r2") })
	same("gc", func(s api.Service) (any, error) { return s.GC(ctx, "bar", 0, true) })
	same("tree", func(s api.Service) (any, error) { return s.Tree(ctx) })
	same("crashes", func(s api.Service) (any, error) { return s.Crashes(ctx, "bar") })
	same("crash", func(s api.Service) (any, error) { return s.Crash(ctx, crash) })
	same("doctor", func(s api.Service) (any, error) { return s.Doctor(ctx) })
	same("events", func(s api.Service) (any, error) { return all(s.Events(ctx, "bar", 3, false)) })
	same("logs", func(s api.Service) (any, error) { return all(s.Logs(ctx, api.LogQuery{App: "bar"})) })
	same("upgrade", func(s api.Service) (any, error) { return all(s.Upgrade(ctx, "")) })

	if v, err := c.SetSecret(ctx, "bar", "b", []byte{0, 255, 'x'}, ""); v != 1 || err != nil {
		t.Errorf("SetSecret = %d, %v", v, err)
	}
	same("secrets", func(s api.Service) (any, error) { return s.Secrets(ctx, "bar") })

	one, err := c.Hold(ctx, "bar", "", api.HoldRequest{Writes: true, By: "ann"})
	if err != nil {
		t.Error(err)
	}
	two, err := c.Resume(ctx, "bar", "", api.HoldRequest{By: "ann"})
	if err != nil || two != one+1 {
		t.Errorf("hold was epoch %d, resume %d, %v", one, two, err)
	}
	for name, do := range map[string]func() (semper.Rollout, error){
		"promote":  func() (semper.Rollout, error) { return c.Promote(ctx, "bar", "", api.Promotion{By: "ann"}) },
		"scale":    func() (semper.Rollout, error) { return c.Scale(ctx, "bar", "", map[string]int{"web": 1}, "ann") },
		"rollback": func() (semper.Rollout, error) { return c.Rollback(ctx, "bar", "", "r1", "ann") },
		"restart":  func() (semper.Rollout, error) { return c.Restart(ctx, "bar", "", []string{"web"}, "ann") },
	} {
		if name != "promote" {
			live(t, c, deploy(t, c, name, 1))
		}
		ro, err := do()
		if err != nil || ro.ID == "" {
			t.Errorf("%s = %+v, %v", name, ro, err)
		}
		live(t, c, ro)
	}
	s.Stall(semper.RolloutReady)
	deploy(t, c, "three", 1)
	if ro, err := c.Abort(ctx, "bar", "", ""); err != nil || ro.State != semper.RolloutFailed {
		t.Errorf("abort = %+v, %v", ro, err)
	}
	if ev, _ := all(c.Events(ctx, "bar", -1, false)); len(ev) != 1 || ev[0].Kind != "rollout.failed" {
		t.Errorf("the newest event is %+v", ev)
	}
}

func all[T any](ch <-chan T, err error) ([]T, error) {
	var l []T
	if err != nil {
		return nil, err
	}
	for v := range ch {
		l = append(l, v)
	}
	return l, nil
}

func TestEveryCodeKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	statuses := map[semper.Code]int{
		semper.Invalid: 400, semper.Forbidden: 403, semper.NotFound: 404, semper.Conflict: 409, semper.Tampered: 422,
		semper.Internal: 500, semper.Unavailable: 503, semper.Timeout: 504, semper.NoSpace: 507,
	}
	for code, status := range statuses {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			s := fresh(t)
			s.Down(&semper.Error{Code: code, Op: "do", Message: "it went wrong", Hint: "try else", Err: errors.New("the cause")})
			c := overUnix(t, s, api.ServerOptions{})
			_, err := c.Info(t.Context())
			want := &semper.Error{Code: code, Op: "do", Message: "it went wrong: the cause", Hint: "try else"}
			got, ok := errors.AsType[*semper.Error](err)
			if !ok || cmp.Diff(want, got) != "" {
				t.Errorf("error = %#v", err)
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/v1/info", nil)
			api.NewServer(s, api.ServerOptions{}).ServeHTTP(w, local(r))
			if w.Code != status {
				t.Errorf("status = %d, want %d: %s", w.Code, status, w.Body)
			}
		})
	}
}

// local makes r one that came over a unix socket.
func local(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Net: "unix"}))
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	digest := string(semper.DigestOf(nil))
	cases := []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"unknown route", "GET", "/v1/nope", "", 404, "no GET /v1/nope"},
		{"unknown key", "POST", "/v1/scale", `{"app":"bar","scael":{}}`, 400, "scael"},
		{"unknown key of a spec", "POST", "/v1/deploy", `{"spec":{"wram":"5m"}}`, 400, "wram"},
		{"not JSON", "POST", "/v1/scale", `scale it`, 400, "invalid character"},
		{"two values", "POST", "/v1/scale", `{} {}`, 400, "more than one value"},
		{"too large", "POST", "/v1/secrets", `{"value":"` + strings.Repeat("A", 5<<20) + `"}`, 400, "larger than"},
		{"bad number", "GET", "/v1/events?after=soon", "", 400, "soon"},
		{"bad digest", "PUT", "/v1/artifacts/sha256:1", "", 400, "not a digest"},
		{"wrong bytes", "PUT", "/v1/artifacts/" + digest, "x", 422, "have digest"},
		{"value and secret", "POST", "/v1/plan", `{"spec":{"services":{"web":{"env":{"A":{"value":"1","secret":"a"}}}}}}`, 400, "exclude each other"},
		{"no such rollout", "GET", "/v1/rollouts/d-9?app=bar", "", 404, "bar"},
		{"no such binary", "POST", "/v1/upgrade", `{"binary":"/nonexistent"}`, 400, "no such binary"},
	}
	h := api.NewServer(fresh(t), api.ServerOptions{})
	for _, c := range cases {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, local(httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || !strings.HasPrefix(w.Body.String(), `{"error":{"code":`) {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

func TestWhoMayOverTCP(t *testing.T) {
	t.Parallel()
	token := "smp_secret"
	ui := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the page") })
	srv := httptest.NewServer(api.NewServer(fresh(t), api.ServerOptions{Token: func() string { return token }, UI: ui}))
	defer srv.Close()
	ask := func(method, path string, set func(*http.Request)) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if set != nil {
			set(r)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	bearer := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s) }
	}
	login := ask("GET", "/login?token="+token, nil)
	cookies := login.Cookies()
	if login.StatusCode != 303 || login.Header.Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("login answered %d %v", login.StatusCode, login.Header)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, token) {
		t.Errorf("the cookie is %v", c)
	}
	session := func(r *http.Request) { r.AddCookie(cookies[0]) }
	for name, c := range map[string]struct {
		res  *http.Response
		want int
	}{
		"nothing":        {ask("GET", "/v1/info", nil), 401},
		"wrong token":    {ask("GET", "/v1/info", bearer("smp_secre")), 401},
		"empty token":    {ask("GET", "/v1/info", bearer("")), 401},
		"right token":    {ask("GET", "/v1/info", bearer(token)), 200},
		"session":        {ask("GET", "/v1/info", session), 200},
		"page without":   {ask("GET", "/", nil), 401},
		"page":           {ask("GET", "/", session), 200},
		"wrong login":    {ask("GET", "/login?token=x", nil), 401},
		"no login":       {ask("GET", "/login", nil), 401},
		"another site":   {ask("POST", "/v1/hold", func(r *http.Request) { session(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }), 403},
		"another origin": {ask("POST", "/v1/hold", func(r *http.Request) { session(r); r.Header.Set("Origin", "https://evil.example") }), 403},
		"same origin":    {ask("POST", "/v1/hold", func(r *http.Request) { session(r); r.Header.Set("Sec-Fetch-Site", "same-origin") }), 404},
	} {
		if c.res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, c.res.StatusCode, c.want)
		}
		if csp := c.res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", name, csp)
		}
	}
	for given, want := range map[string]semper.Code{"": semper.Forbidden, "wrong": semper.Forbidden, token: ""} {
		c, err := api.NewClient(srv.URL, api.ClientOptions{Token: given})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Info(t.Context()); semper.CodeOf(err) != want {
			t.Errorf("client with token %q: %v", given, err)
		}
		_, err = c.HasArtifact(t.Context(), semper.DigestOf(nil))
		if semper.CodeOf(err) != want {
			t.Errorf("HEAD with token %q: %v", given, err)
		}
		c.Close()
	}
	token = ""
	if res := ask("GET", "/v1/info", bearer("")); res.StatusCode != 401 {
		t.Errorf("a server without a token answers %d over TCP", res.StatusCode)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for host, ok := range map[string]bool{
		"unix:///tmp/api.sock": true, "https://semper.example:4443": true, "http://127.0.0.1:4000": true, "http://localhost:4000": true, "http://[::1]:4000": true,
		"unix://relative.sock": false, "unix:": false, "http://semper.example": false, "http://10.0.0.1": false, "semper.example": false, "ftp://x": false, "https://": false, "": false, "http://%zz": false,
	} {
		_, err := api.NewClient(host, api.ClientOptions{})
		if (err == nil) != ok {
			t.Errorf("NewClient(%q) = %v", host, err)
		}
		if err != nil && (semper.CodeOf(err) != semper.Invalid || semper.HintOf(err) == "") {
			t.Errorf("NewClient(%q) = %v without code or hint", host, err)
		}
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := panicky{fresh(t)}
	_, err := overUnix(t, s, api.ServerOptions{}).Info(t.Context())
	if semper.CodeOf(err) != semper.Internal || !strings.Contains(err.Error(), "met a bug") {
		t.Errorf("error = %v", err)
	}
}

type panicky struct{ api.Service }

func (panicky) Info(context.Context) (api.ServerInfo, error) { panic("oh") }

func TestArtifactStreams(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	c := overUnix(t, s, api.ServerOptions{})
	data := bytes.Repeat([]byte("semper "), 1<<20)
	for name, r := range map[string]io.Reader{"seekable": bytes.NewReader(data), "stream": io.MultiReader(bytes.NewReader(data))} {
		if err := c.PutArtifact(t.Context(), semper.DigestOf(data), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if has, err := c.HasArtifact(t.Context(), semper.DigestOf(data)); !has || err != nil {
		t.Errorf("HasArtifact = %v, %v", has, err)
	}
	if err := c.PutArtifact(t.Context(), semper.DigestOf(nil), bytes.NewReader(data)); semper.CodeOf(err) != semper.Tampered {
		t.Errorf("wrong digest: %v", err)
	}
}

func TestEventsAsServerSentEvents(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	live(t, s, deploy(t, s, "one", 1))
	r := httptest.NewRequest(http.MethodGet, "/v1/events?app=bar", nil)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Last-Event-ID", "2")
	w := httptest.NewRecorder()
	api.NewServer(s, api.ServerOptions{}).ServeHTTP(w, local(r))
	if !strings.HasPrefix(w.Body.String(), "event: event\nid: 3\ndata: {\"seq\":3,") || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v\n%s", w.Header(), w.Body)
	}
}
