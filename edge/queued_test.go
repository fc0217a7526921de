package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"semper"
)

// TestQueuesSayWhoseRequestItWas: what an edge said of the first client goes on when the request is done, and comes from queues only.
func TestQueuesSayWhoseRequestItWas(t *testing.T) {
	t.Parallel()
	const said = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n"
	for name, more := range map[string]string{"the ordinary way": "", "net/http's way": "Expect: 100-continue\r\nContent-Length: 0\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			seen := make(chan string, 1)
			f.table(1, func(tab *semper.Table) { tab.Pools[0].Jobs = []byte(`{}`) }, recorder(t, seen))
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- f.Serve(l, false) }()
			t.Cleanup(func() {
				f.Close() //nolint:errcheck // reported by the fixture
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
			for queue, want := range map[string]string{
				"Semper-Queue: " + string(webPool) + "\r\n": "X-Forwarded-For: 203.0.113.7 X-Forwarded-Host: shop.example X-Forwarded-Proto: https X-Request-Id: theirs",
				"": "X-Forwarded-Host: shop.example:8080 X-Forwarded-Proto: http",
			} {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: close\r\n"+queue+said+more+"\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || resp.StatusCode != 200 && resp.StatusCode != 100 {
					t.Fatal(resp, err)
				}
				var got []string
				for line := range strings.Lines(<-seen) {
					if strings.HasPrefix(line, "X-") && line != "X-Request-Id: *\r\n" {
						got = append(got, strings.TrimSpace(line))
					}
				}
				if got := strings.Join(got, " "); got != want {
					t.Errorf("%q: the instance saw %s, want %s", queue, got, want)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
