package upstream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"testing"
	"time"
)

func h2Server(h http.HandlerFunc) *http.Server {
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetHTTP2(true)
	both.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: &both, ErrorLog: log.New(io.Discard, "", 0)}
}

// likeGRPC answers as gRPC does: what counts stands in the trailers.
func likeGRPC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("X-Seen", fmt.Sprintf("%d %s %v %d", r.ProtoMajor, r.Host, r.Header, r.ContentLength))
	w.WriteHeader(200)
	http.NewResponseController(w).Flush()
	io.Copy(w, r.Body)
	w.Header().Set("Grpc-Status", "0"+r.Trailer.Get("X-Sum"))
	w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
}

// TestHTTP2 with and without TLS, negotiated and not: one connection, whoever comes at once; trailers both ways.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	server, client := trusting(t)
	for _, protocol := range []Protocol{H2C, H2, Auto} {
		t.Run(fmt.Sprint(protocol), func(t *testing.T) {
			t.Parallel()
			s := h2Server(likeGRPC)
			if protocol != H2C {
				s.TLSConfig = server.Clone()
			}
			pool := newPool(t, serve(t, "tcp", s), func(o *Options) {
				if o.Protocol = protocol; protocol != H2C {
					o.TLS = client
				}
				o.HeadTimeout, o.BodyTimeout = time.Minute, time.Minute
			})
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { callLikeGRPC(t, pool) })
			}
			wg.Wait()
			if s := pool.Stats(); s.Open != 1 || s.Dialled != 1 {
				t.Errorf("%+v", s)
			}
			if _, err := pool.Get(t.Context()); !errors.Is(err, ErrMultiplexed) || !Unsent(err) {
				t.Errorf("%v", err)
			}
			eventually(t, "its streams are over", func() bool {
				pool.CloseIdle()
				return pool.Stats().Open == 0
			})
			callLikeGRPC(t, pool)
		})
	}
}

func callLikeGRPC(t *testing.T, pool *Pool) {
	var codes []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { codes = append(codes, code); return nil }}
	req := request(t, "POST", "hello").WithContext(httptrace.WithClientTrace(t.Context(), trace))
	req.Host, req.ContentLength = "a.example", -1
	req.Trailer = http.Header{"X-Sum": {"5"}}
	req.Header = http.Header{"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"1"}, "Te": {"trailers"}, "Upgrade": {"chat"}, "A": {"1"}}
	resp, err := pool.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	body, err := whole(resp)
	if err != nil || body != "hello" || resp.ProtoMajor != 2 || resp.Trailer.Get("Grpc-Status") != "05" || resp.Trailer.Get("X-Late") != "yes" {
		t.Errorf("%q %v %v", body, err, resp)
	}
	if got := resp.Header.Get("X-Seen"); got != "2 a.example map[A:[1] Te:[trailers]] -1" {
		t.Errorf("the instance saw %s", got)
	}
	if len(codes) != 1 || codes[0] != 103 {
		t.Errorf("interim %v", codes)
	}
}

// TestAutoTakesHTTP1 where the instance does not speak HTTP/2.
func TestAutoTakesHTTP1(t *testing.T) {
	t.Parallel()
	server, client := trusting(t)
	one := &http.Server{ErrorLog: log.New(io.Discard, "", 0), TLSConfig: server, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto)
	})}
	one.Protocols.SetHTTP1(true)
	p := serve(t, "tcp", one)
	pool := newPool(t, p, func(o *Options) { o.Protocol, o.TLS = Auto, client })
	for range 3 {
		resp, err := pool.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := whole(resp); body != "HTTP/1.1" || err != nil {
			t.Errorf("%q %v", body, err)
		}
	}
	if s := pool.Stats(); s.Dialled != 1 || s.Reused != 2 {
		t.Errorf("%+v", s)
	}
	only := newPool(t, p, func(o *Options) { o.Protocol, o.TLS = H2, client })
	if _, err := only.RoundTrip(request(t, "GET", "")); err == nil || !Unsent(err) {
		t.Errorf("HTTP/2 or nothing: %v", err)
	}
	plain := newPool(t, p, func(o *Options) { o.Protocol = H2 })
	if _, err := plain.RoundTrip(request(t, "GET", "")); !errors.Is(err, errNoTLS) || !Unsent(err) {
		t.Errorf("HTTP/2 over nothing: %v", err)
	}
}

// TestHTTP2ThatBreaksOff is an error, never an end.
func TestHTTP2ThatBreaksOff(t *testing.T) {
	t.Parallel()
	p := serve(t, "tcp", h2Server(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			panic(http.ErrAbortHandler)
		case "/body":
			io.WriteString(w, "only this")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, "only this")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	for _, path := range []string{"/head", "/body", "/stall"} {
		pool := newPool(t, p, func(o *Options) {
			if o.Protocol = H2C; path == "/stall" {
				o.BodyTimeout = 30 * time.Millisecond
			}
		})
		req := request(t, "GET", "")
		req.URL.Path = path
		resp, err := pool.RoundTrip(req)
		want := Await
		if path != "/head" {
			if err != nil {
				t.Fatal(err)
			}
			_, err = whole(resp)
			want = Receive
		}
		var e *Error
		if !errors.As(err, &e) || e.Op != want || Unsent(err) || e.Timeout() != (path == "/stall") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestHTTP2ThatIsDisclaimed: of an instance that takes no more streams every request may go elsewhere.
func TestHTTP2ThatIsDisclaimed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		frames  string
		unsent  bool
		goesFor string
	}{
		{goAway(0, 0), true, "GOAWAY"},
		{reset(1, 7), true, "REFUSED_STREAM"},
		{reset(1, 2), false, "INTERNAL_ERROR"},
	} {
		pool := newPool(t, startPeer(t, "unix", frames(tc.frames)), func(o *Options) { o.Protocol = H2C })
		_, err := pool.RoundTrip(request(t, "POST", ""))
		if err == nil || Unsent(err) != tc.unsent {
			t.Errorf("%s: %v, unsent %t", tc.goesFor, err, Unsent(err))
		}
	}
}

// frame is one of HTTP/2 (RFC 9113, 4.1).
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func goAway(last, code uint32) string  { return frame(7, 0, 0, number(last)+number(code)) }
func reset(stream, code uint32) string { return frame(3, 0, stream, number(code)) }

// frames is an instance that answers the first request with frames as they are.
func frames(answer string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		io.WriteString(c, frame(4, 0, 0, "")) // SETTINGS
		io.CopyN(io.Discard, br, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(br, head); err != nil {
				return
			}
			io.CopyN(io.Discard, br, int64(head[0])<<16|int64(head[1])<<8|int64(head[2]))
			if head[3] == 1 { // HEADERS
				break
			}
		}
		io.WriteString(c, answer)
		io.Copy(io.Discard, br)
	}
}
