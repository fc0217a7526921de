package observer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"semper/supervise"
)

// FuzzAccept lets a program say anything: semper gets a tree, or an error, and the connection ends.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{
		"", hello, hello + `{"id":1,"tree":{"id":"shop","children":[{"id":"a"}]}}` + "\n", hello + `{"id":1,"error":"no"}` + "\n",
		hello + `{"crash":{"reason":"x","links":["a"],"uptime_ns":-1}}` + "\n", hello + `{"id":99}` + "\n", hello + "{\"id\":1,\"tree\":{\"since\":\"x\"}}\n",
		hello + `{"id":1,"process":{"pid":"<1>"}}` + "\n", hello + "\n\n{}\n[]\n", hello + strings.Repeat("[", 200) + "\n",
		hello + `{"id":1,"tree":{"kind":"\u001b[2J","more":-5,"children":null,"abandoned":[{}]}}` + "\n" + hello,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			_, _ = far.Write(said)
			if bytes.ContainsRune(said, '\n') {
				_, _ = far.Read(make([]byte, 1)) // until a question comes, or the end
			}
			far.Close()
		}()
		c, err := Accept(near, func(c Crash) {
			if len(c.Reason) > MaxLine {
				t.Errorf("a reason of %d bytes", len(c.Reason))
			}
		})
		if err != nil {
			if !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrClosed) {
				t.Errorf("accept: %v", err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n, err := c.Tree(ctx)
		switch {
		case ctx.Err() != nil:
			t.Error("a question outlived its connection")
		case err == nil && count(n) > maxObjects:
			t.Errorf("%d nodes", count(n))
		case err == nil:
			if err := Print(io.Discard, n); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	})
}

// FuzzSession lets semper say anything: the program answers each question with one line of its protocol, or hangs up.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"", "{}\n", `{"id":1,"want":"tree"}` + "\n", `{"id":1,"want":"process","pid":"<1>"}` + "\n", `{"id":1,"want":"x"}` + "\n{\n",
		`{"id":-1,"want":"tree"}` + "\n", `{"want":"tree"}` + "\n", "[1]\n", `{"id":1,"want":"process","pid":"<99999999999999999999>"}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	s, err := supervise.Start(quiet, supervise.Flags{Name: "shop"}, []supervise.ChildSpec{actorSpec("cart")}, supervise.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Stop(context.Background()) })
	f.Fuzz(func(t *testing.T, said []byte) {
		u := NewUplink(Options{Socket: "a pipe"})
		u.show(s)
		near, far := net.Pipe()
		go func() {
			_, _ = far.Write(append(said, "\n{\"id\":77,\"want\":\"last\"}\nbye\n"...))
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&session{Uplink: u, conn: near, slots: make(chan struct{}, slots)}).run(t.Context())
		}()
		out, _ := io.ReadAll(far)
		<-done
		for line := range bytes.Lines(out) {
			m, err := decode(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil || m.Hello == nil && (m.ID == 0 || m.Tree == nil && m.Process == nil && m.Error == "") {
				t.Errorf("%v: %q", err, line)
			}
		}
	})
}
