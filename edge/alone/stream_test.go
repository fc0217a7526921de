package alone

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// TestLongConnections are those of before when the file says something else, and end with the edge.
func TestLongConnections(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		say := make(chan string)
		old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/events" {
				w.Header().Set("Content-Type", "text/event-stream")
				for {
					select {
					case text := <-say:
						fmt.Fprintf(w, "data: %s\n\n", text)
						http.NewResponseController(w).Flush()
					case <-r.Context().Done():
						return
					}
				}
			}
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, append([]byte("old "), b...)) != nil {
					return
				}
			}
		}))
		t.Cleanup(old.Close)
		t.Cleanup(old.CloseClientConnections)
		file := "listeners: 127.0.0.1:0\npools: {old: %s, new: %s}\nroutes: [{to: %s}]\n"
		r := launch(t, fmt.Sprintf(file, old.Listener.Addr(), app(t, "new"), "old"), "-driver", driver)
		at := r.ready()["http"][0]

		ws, _, err := websocket.Dial(t.Context(), "ws://"+at+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		echoes := func() {
			t.Helper()
			if err := ws.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, b, err := ws.Read(t.Context()); err != nil || string(b) != "old hello" {
				t.Fatalf("%q, %v", b, err)
			}
		}
		echoes()
		go func() { say <- "one" }()
		events, err := client(t).Get("http://" + at + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer events.Body.Close()
		lines := bufio.NewReader(events.Body)
		hears := func(want string) {
			t.Helper()
			for _, want := range []string{"data: " + want + "\n", "\n"} {
				if line, err := lines.ReadString('\n'); err != nil || line != want {
					t.Fatalf("%q, %v", line, err)
				}
			}
		}
		hears("one")

		r.write("edge.yaml", strings.Replace(fmt.Sprintf(file, "127.0.0.1:1", app(t, "new"), "new"), "old: 127.0.0.1:1, ", "", 1))
		r.signal(syscall.SIGHUP)
		r.ready()
		wants(t, client(t), "http://"+at+"/", "new /")
		echoes()
		say <- "two"
		hears("two")

		r.signal(syscall.SIGTERM)
		r.signal(syscall.SIGINT) // two of one kind could become one
		if code := r.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if rest, _ := io.ReadAll(lines); len(rest) > 0 { // a stream of events may end at any time, in either way
			t.Errorf("behind the last event came %q", rest)
		}
	})
}
