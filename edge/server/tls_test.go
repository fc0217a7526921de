package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"semper/edge/message"
	"semper/edge/route"
)

// secure makes r listen for TLS, and returns the certificates that are good there.
func secure(t *testing.T, r *rig) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, roots, hostA)}, NextProtos: []string{"h2", "http/1.1", "other"}}
	r.listen(t, func(l net.Listener) net.Listener { return &TLSListener{l, config} })
	return roots
}

func TestTLS(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	roots := secure(t, r)
	for _, h2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: hostA}, Protocols: protocols}
		c := &http.Client{Transport: tr, Timeout: 30 * time.Second}
		for _, path := range []string{"/a?b", "/pass?b"} {
			for _, size := range []int{0, 10, 1 << 20} {
				body := strings.Repeat("x", size)
				resp, err := c.Post("https://"+r.addr+path, "text/plain", strings.NewReader(body))
				if err != nil {
					t.Fatal(h2, path, err)
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := 1; err != nil || string(b) != body || resp.Header.Get("X-Path") != path || h2 && resp.ProtoMajor != want+1 {
					t.Errorf("h2 %v %s: %d of %d bytes, %v %v", h2, path, len(b), size, resp.Header, err)
				}
			}
		}
		tr.CloseIdleConnections()
	}
}

// What is no handshake is answered where it can be, and not waited for.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Head: 100 * time.Millisecond})
	secure(t, r)
	for sent, want := range map[string]string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP/1.1 400 ", "SSH-2.0-x\r\n": "", "": ""} {
		c := dial(t, r.addr)
		io.WriteString(c, sent)
		b, _ := io.ReadAll(c)
		if !strings.HasPrefix(string(b), want) || want == "" && strings.Contains(string(b), "HTTP") {
			t.Errorf("%q: %q", sent, b)
		}
	}
	patient := prepare(t, Options{}) // for a handshake on a slow machine
	roots := secure(t, patient)
	c, err := tls.Dial("tcp", patient.addr, &tls.Config{RootCAs: roots, ServerName: hostA, NextProtos: []string{"other"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a protocol that is not spoken: %v", err)
	}
}

// A sweep has HTTP/2 clients go too, and a connection that comes after it.
func TestSweepH2(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	roots := secure(t, r)
	for i := range 2 {
		c, err := tls.Dial("tcp", r.addr, &tls.Config{RootCAs: roots, ServerName: hostA, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		if i == 0 {
			f.ReadFrame()
			r.Sweep()
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatal(i, err)
			}
			if _, ok := frame.(*http2.GoAwayFrame); ok {
				break
			}
		}
		io.Copy(io.Discard, c)
		c.Close()
	}
}

func TestExtendedConnectIsOffered(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{H2C: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := message.Switch(w, http.Header{"X-Saw": {r.Method + " " + r.Header.Get("Upgrade") + " " + r.URL.Path}}, route.Edit{})
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			b := make([]byte, 5)
			io.ReadFull(c, b)
			c.Write(b)
			c.Close()
		}()
	})})
	r.listen(t, func(l net.Listener) net.Listener { return l })
	c := dial(t, r.addr)
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	frame, err := f.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("%v", frame)
	}
	if v, ok := s.Value(http2.SettingEnableConnectProtocol); !ok || v != 1 {
		t.Fatal("RFC 8441 is not offered: package extended was initialised too late")
	}
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/chat"}} {
		e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	f.WriteData(1, false, []byte("hello"))
	for got := ""; got != "GET websocket /chat hello"; {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(got, err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range frame.Fields {
				if h.Name == "x-saw" {
					got = h.Value
				}
			}
		case *http2.DataFrame:
			got += " " + string(frame.Data())
		}
	}
}

// Without the option HTTP/2 on plaintext is no HTTP here; with it HTTP/1.1 goes on beside it.
func TestH2C(t *testing.T) {
	t.Parallel()
	target := app(t, echo)
	if got := exchange(t, start(t, Options{}, target).addr, http2.ClientPreface); !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 505 ") {
		t.Errorf("%q", got)
	}
	r := start(t, Options{H2C: true}, target)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("http://" + r.addr + "/x")
	if err != nil || resp.ProtoMajor != 2 || resp.Header.Get("X-Path") != "/x" {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	if got := exchange(t, r.addr, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
}

// A handler may take the connection, with what came behind the request, and answers for it from then on.
func TestHijack(t *testing.T) {
	t.Parallel()
	taken := make(chan net.Conn, 1)
	r := start(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := w.Write(nil); err != http.ErrHijacked {
			t.Errorf("a write after it: %v", err)
		}
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, err := rw.ReadString('\n')
		rw.WriteString(line)
		if rw.Flush() != nil || err != nil {
			t.Error(err)
		}
		taken <- c
	})})
	c := dial(t, r.addr)
	io.WriteString(c, "GET /pass HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst\n")
	in := bufio.NewReader(c)
	if head, err := readHead(in); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatal(head, err)
	}
	if line, err := in.ReadString('\n'); line != "first\n" || err != nil {
		t.Errorf("%q %v", line, err)
	}
	mine := <-taken
	io.WriteString(c, "second")
	c.CloseWrite()
	if b, err := io.ReadAll(mine); string(b) != "second" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if n := r.Connections(); n != 1 {
		t.Errorf("%d connections while the handler has one", n)
	}
	mine.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := in.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	mine.Close()
	mine.Close()
	if n := r.Connections(); n != 0 {
		t.Errorf("%d connections after it", n)
	}
}

// A handler may set deadlines of its own, and wake a read by them.
func TestHandlersDeadlines(t *testing.T) {
	t.Parallel()
	reading, read := make(chan struct{}), make(chan error, 1)
	r := start(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deal := http.NewResponseController(w)
		go func() {
			close(reading)
			_, err := r.Body.Read(make([]byte, 10))
			read <- err
		}()
		<-reading
		deal.SetReadDeadline(time.Unix(1, 0))
		err := <-read
		if e, ok := err.(net.Error); !ok || !e.Timeout() {
			t.Errorf("%v", err)
		}
		deal.SetReadDeadline(time.Time{})
		deal.SetWriteDeadline(time.Unix(1, 0))
		io.WriteString(w, "x")
		if err := deal.Flush(); err == nil {
			t.Error("a write after its deadline")
		}
	})})
	c := dial(t, r.addr)
	io.WriteString(c, "POST /pass HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("%q", b)
	}
}

// Whoever still reads content when the handler has returned is told so, and the next request is not touched.
func TestReadsBehindTheHandler(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	r := prepare(t, Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began := make(chan struct{})
		go func() {
			close(began)
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}()
		<-began
	})}, app(t, echo))
	r.drain = time.Hour // the rest may take what it takes
	r.listen(t, func(l net.Listener) net.Listener { return l })
	c := dial(t, r.addr)
	io.WriteString(c, "POST /pass HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
	in := bufio.NewReader(c)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if err := <-read; err != http.ErrBodyReadAfterClose {
		t.Error(err)
	}
	io.WriteString(c, "56789"+plainGet)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Path") != "/" {
		t.Fatal(resp, err)
	}
}
