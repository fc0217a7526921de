package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProxyPassesOnWhatItGets(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RequestURI, " ", r.Host, " ", r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Host"))
	}))
	defer app.Close()
	var lines strings.Builder
	handler := proxy("tcp", app.Listener.Addr().String())
	out := bufio.NewWriter(&lines)
	l := &accessLog{next: handler, out: out}
	front := httptest.NewServer(l)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/a%2Fb?x&&y=%zz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "a.example"
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	resp, err := front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if want := "/a%2Fb?x&&y=%zz a.example 127.0.0.1 a.example"; err != nil || string(body) != want {
		t.Errorf("the app saw %q, %v, want %q", body, err, want)
	}
	front.Close()
	handler.Transport.(*http.Transport).CloseIdleConnections()
	l.flush()
	if got := lines.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"GET /a%2Fb?x&&y=%zz HTTP/1.1" 200 `+fmt.Sprint(len(body))) {
		t.Errorf("the log has %q", got)
	}
}

func TestBuffersAreReused(t *testing.T) {
	t.Parallel()
	var pool httputil.BufferPool = &buffers{}
	b := pool.Get()
	if len(b) == 0 {
		t.Fatal("a buffer without room")
	}
	pool.Put(b)
	if again := pool.Get(); len(again) != len(b) {
		t.Errorf("%d bytes, want %d", len(again), len(b))
	}
}
