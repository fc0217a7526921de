package conformance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"semper/edge/conformance"
	"semper/edge/conformance/wire"
)

// talk sends data to the recorder and returns all that it answers.
func talk(t *testing.T, r *conformance.Recorder, data string, closeWrite bool) string {
	t.Helper()
	c, err := net.Dial(r.Addr().Network(), r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
	if closeWrite {
		c.(interface{ CloseWrite() error }).CloseWrite()
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// until waits for what has been recorded.
func until(t *testing.T, r *conformance.Recorder, ok func([]conformance.Message) bool) []conformance.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	all, fine := r.Wait(ctx, ok)
	if !fine {
		t.Fatalf("never recorded: %+v", all)
	}
	return all
}

func closed(n int) func([]conformance.Message) bool {
	return func(all []conformance.Message) bool {
		for _, m := range all {
			if m.Open || !m.Done {
				return false
			}
		}
		return len(all) == n
	}
}

func TestRecorderTellsMessagesApart(t *testing.T) {
	t.Parallel()
	r := record(t, "unix", t.TempDir()+"/r")
	got := talk(t, r, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", true)
	if strings.Count(got, "HTTP/1.1 200 OK\r\n") != 2 || !strings.HasSuffix(got, "\r\n\r\nPOST /b\n") {
		t.Errorf("answers %q", got)
	}
	all := until(t, r, closed(2))
	if a, b := all[0], all[1]; !a.Whole() || !b.Whole() || a.Conn != b.Conn || a.Index != 0 || b.Index != 1 || string(b.Request.Body) != "hello" {
		t.Errorf("%+v", all)
	}
}

func TestRecorderSaysWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	r := record(t, "tcp", "127.0.0.1:0")
	if got := talk(t, r, "GET /a HTTP/1.1\nHost: h\r\n\r\n", true); got != "" {
		t.Errorf("answer %q", got)
	}
	var bad *wire.SyntaxError
	if all := until(t, r, closed(1)); !errors.As(all[0].Err, &bad) {
		t.Errorf("%+v", all)
	}
	r.Begin(func(*wire.Request) conformance.Reply { return conformance.Reply{} })
	talk(t, r, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", true)
	if all := until(t, r, closed(1)); !errors.Is(all[0].Err, wire.ErrTruncated) || all[0].Request == nil || string(all[0].Request.Body) != "hel" {
		t.Errorf("%+v", all)
	}
}

func TestRecorderAnswersByScript(t *testing.T) {
	t.Parallel()
	r := record(t, "tcp", "127.0.0.1:0")
	const get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
	r.Begin(func(*wire.Request) conformance.Reply {
		return conformance.Reply{Raw: "any", Late: "thing", End: conformance.Close}
	})
	r.Release()
	if got := talk(t, r, get, true); got != "anything" {
		t.Errorf("answer %q", got)
	}
	r.Begin(func(*wire.Request) conformance.Reply {
		return conformance.Reply{Raw: "early", Early: true, End: conformance.Close}
	})
	if got := talk(t, r, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", true); got != "early" {
		t.Errorf("answer %q", got)
	}
	r.Begin(func(*wire.Request) conformance.Reply { return conformance.Reply{End: conformance.Hang} })
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, get)
	until(t, r, func(all []conformance.Message) bool { return len(all) == 1 && all[0].Whole() && all[0].Open })
	c.Close()
	until(t, r, closed(1))
}
