package node

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"semper/internal/handoff"
	"semper/supervise"
)

// TestRestartOfTheAPIKeepsItsSocket connects while no incarnation of the API runs; the next one answers.
func TestRestartOfTheAPIKeepsItsSocket(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := handoff.FromListener("api", l)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	sockets := []handoff.Socket{socket}
	defer handoff.Close(sockets)
	s := &surface{
		log: slog.New(slog.DiscardHandler), sockets: sockets,
		handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }),
	}
	s.told.Do(func() {}) // there is no keeper
	api := supervise.ServeReady(s.serve)
	for range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		child, err := api(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Error(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || len(answer) < 4 || string(answer[len(answer)-4:]) != "here" {
			t.Errorf("%q, %v", answer, err)
		}
		child.Shutdown()
		<-child.Done()
		if r := child.Reason(); r.Abnormal() {
			t.Errorf("it ended: %v", r)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
