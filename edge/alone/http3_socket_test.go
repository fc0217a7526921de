package alone

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestWebSocketsOverHTTP3 (RFC 9220) reach an upstream of HTTP/1.1 through the whole edge, several on one connection, beside ordinary
// requests, and end where their client ends them.
func TestWebSocketsOverHTTP3(t *testing.T) {
	t.Parallel()
	left := make(chan string, 10)
	_, ca, addr := h3Rig(t, lasting(t, left))
	conn, err := quic.DialAddr(t.Context(), addr, &tls.Config{RootCAs: ca.pool(), ServerName: "shop.test", NextProtos: []string{http3.NextProtoH3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "") //nolint:errcheck // the test's
	tr := &http3.Transport{}
	t.Cleanup(func() { tr.Close() })
	c := tr.NewClientConn(conn)
	<-c.ReceivedSettings()
	if !c.Settings().EnableExtendedConnect {
		t.Fatal("it is not said that WebSockets may come")
	}
	open := func(path string) *http3.RequestStream {
		t.Helper()
		s, err := c.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{
			Method: http.MethodConnect, Proto: "websocket", Host: "shop.test", URL: &url.URL{Scheme: "https", Host: "shop.test", Path: path},
			Header: http.Header{"Sec-Websocket-Version": {"13"}},
		}
		if err := s.SendRequestHeader(r.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
		resp, err := s.ReadResponse()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%+v %v", resp, err)
		}
		return s
	}
	says := func(s *http3.RequestStream, a, b byte) {
		t.Helper()
		if _, err := s.Write([]byte{0x81, 0x82, 1, 2, 3, 4, a ^ 1, b ^ 2}); err != nil { // masked, as a client's frames are
			t.Fatal(err)
		}
		var echo [4]byte
		if _, err := io.ReadFull(s, echo[:]); err != nil || echo != [4]byte{0x81, 2, a, b} {
			t.Fatalf("the echo is %v, %v", echo, err)
		}
	}
	one, two := open("/socket/one"), open("/socket/two")
	says(one, 'h', 'i')
	says(two, 'y', 'o')
	says(one, 'o', 'k')
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if path := <-left; path != "/socket/one" {
		t.Errorf("%s has ended", path)
	}
	says(two, 'g', 'o')
	two.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	two.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	if path := <-left; path != "/socket/two" {
		t.Errorf("%s has ended", path)
	}
}
