package edge

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"semper"
)

// endOf is how the answer that br reads ends: whole, or broken off.
func endOf(br *bufio.Reader) string {
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // a test's
	b, err := io.ReadAll(resp.Body)
	if got := string(b); got != "data: 1\n\n" {
		return "got " + got
	}
	if err != nil {
		return "broken off"
	}
	return "whole"
}

// TestWhatIsCutIsWholeOrBrokenOff: the client of an event stream comes back when it ends, so that is what the stream does;
// anything else must not be taken for whole. However the request came, and whoever cuts it.
func TestWhatIsCutIsWholeOrBrokenOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, request, want string }{
		{"an event stream", "GET /text/event-stream HTTP/1.1\r\nHost: a\r\n\r\n", "whole"},
		{"one that was asked for", "GET /text/event-stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n", "whole"},
		{"one that ends with its connection", "GET /text/event-stream HTTP/1.0\r\nHost: a\r\n\r\n", "whole"},
		{"one of a length", "GET /text/event-stream?length HTTP/1.1\r\nHost: a\r\n\r\n", "broken off"},
		{"chunks", "GET /text/plain HTTP/1.1\r\nHost: a\r\n\r\n", "broken off"},
		{"what ends with its connection", "GET /text/plain HTTP/1.0\r\nHost: a\r\n\r\n", "broken off"},
		{"content of a length", "GET /text/plain?length HTTP/1.1\r\nHost: a\r\n\r\n", "broken off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for who, cut := range map[string]func(f *fixture){
				"a deadline": func(f *fixture) {
					at := time.Now()
					f.table(2, func(tab *semper.Table) {
						tab.Draining = []semper.Draining{{Instances: []semper.InstanceID{"bar/web.r1.1"}, Request: at, Stream: at, WebSocket: at}}
					})
				},
				"the end": func(f *fixture) { f.Close() }, //nolint:errcheck // reported elsewhere
			} {
				t.Run(who, func(t *testing.T) {
					t.Parallel()
					f := newFixture(t)
					a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.Path, "/"))
						if r.URL.RawQuery != "" {
							w.Header().Set("Content-Length", "1000")
						}
						io.WriteString(w, "data: 1\n\n")      //nolint:errcheck // the client checks
						http.NewResponseController(w).Flush() //nolint:errcheck // the same
						<-r.Context().Done()
					}))
					f.table(1, nil, a.Backend)
					_, br := rawRequest(t, f, c.request)
					for {
						if head, _ := br.Peek(br.Buffered()); strings.Contains(string(head), "data: 1\n\n") { //nolint:errcheck // it is there
							break
						}
						if _, err := br.Peek(br.Buffered() + 1); err != nil {
							t.Fatal(err)
						}
					}
					cut(f)
					if got := endOf(br); got != c.want {
						t.Errorf("it is %s, want %s", got, c.want)
					}
					if l := f.ledger(1); l.Accepted != 1 {
						t.Errorf("%+v", l)
					}
				})
			}
		})
	}
}
