package proxyproto

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var balancers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

// from gives a connection in memory the address of a peer.
type from struct {
	net.Conn
	peer net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.peer }

// pair is what l makes of a connection from peer, and the peer's end.
func pair(l *Listener, peer string) (*Conn, net.Conn) {
	here, there := net.Pipe()
	return l.wrap(from{here, net.TCPAddrFromAddrPort(addr(peer))}), there
}

const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestWhoIsBelieved(t *testing.T) {
	t.Parallel()
	v1line := accepted[0].in
	block := v2(0x21, 0x11, four)
	for _, c := range []struct {
		name     string
		peer     string
		required bool
		sent     string
		got      string
		remote   string
		err      error
	}{
		{"trusted v1", "10.1.2.3:1", true, v1line + request, request, "192.168.0.1:56324", nil},
		{"trusted v2", "10.1.2.3:1", true, block + request, request, "192.168.0.1:56324", nil},
		{"trusted, mapped address", "[::ffff:10.1.2.3]:1", true, block + request, request, "192.168.0.1:56324", nil},
		{"trusted, IPv6", "[fd00::1]:1", true, block + request, request, "192.168.0.1:56324", nil},
		{"trusted, nothing behind", "10.1.2.3:1", true, block, "", "192.168.0.1:56324", nil},
		{"local", "10.1.2.3:1", true, v2(0x20, 0, "") + request, request, "10.1.2.3:1", nil},
		{"unknown", "10.1.2.3:1", true, "PROXY UNKNOWN\r\n" + request, request, "10.1.2.3:1", nil},
		{"a header behind the header is data", "10.1.2.3:1", true, block + block, block, "192.168.0.1:56324", nil},

		{"trusted without", "10.1.2.3:1", false, request, request, "10.1.2.3:1", nil},
		{"trusted, silent", "10.1.2.3:1", false, "", "", "10.1.2.3:1", nil},
		{"untrusted without", "11.1.2.3:1", false, request, request, "11.1.2.3:1", nil},
		{"untrusted, nearly", "11.1.2.3:1", false, "PROXIMITY / HTTP/1.1", "PROXIMITY / HTTP/1.1", "11.1.2.3:1", nil},
		{"untrusted, empty lines", "11.1.2.3:1", false, "\r\n\r\nGET", "\r\n\r\nGET", "11.1.2.3:1", nil},
		{"untrusted, later", "11.1.2.3:1", false, "x" + v1line, "x" + v1line, "11.1.2.3:1", nil},

		// edge.md §3.3, row 75.
		{"untrusted v1", "11.1.2.3:1", false, v1line + request, "", "11.1.2.3:1", ErrUntrusted},
		{"untrusted v2", "11.1.2.3:1", false, block + request, "", "11.1.2.3:1", ErrUntrusted},
		{"untrusted, required", "11.1.2.3:1", true, block + request, "", "11.1.2.3:1", ErrRequired},
		{"untrusted without, required", "11.1.2.3:1", true, request, "", "11.1.2.3:1", ErrRequired},
		{"trusted without, required", "10.1.2.3:1", true, request, "", "10.1.2.3:1", ErrRequired},
		{"bad TLV", "10.1.2.3:1", true, v2(0x21, 0x11, four+"\x04\x00\x02a"), "", "10.1.2.3:1", errV2TLV},
		{"bad TLV, not required", "10.1.2.3:1", false, v2(0x21, 0x11, four+"\x04\x00\x02a"), "", "10.1.2.3:1", errV2TLV},
		{"cut", "10.1.2.3:1", false, block[:20], "", "10.1.2.3:1", io.ErrUnexpectedEOF},
		{"silent, required", "10.1.2.3:1", true, "", "", "10.1.2.3:1", io.ErrUnexpectedEOF},
	} {
		for name, split := range map[string]int{"at once": len(c.sent), "by 1": 1, "by 7": 7} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				conn, peer := pair(&Listener{Trusted: balancers, Required: c.required}, c.peer)
				closed := make(chan error, 1)
				go func() {
					defer func() { closed <- peer.Close() }()
					for rest := c.sent; rest != ""; {
						n := min(split, len(rest))
						if _, err := peer.Write([]byte(rest[:n])); err != nil {
							return // it was closed: that is the point
						}
						rest = rest[n:]
					}
				}()
				got, err := io.ReadAll(conn)
				if !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if c.err == nil && string(got) != c.got {
					t.Errorf("read %q, want %q", got, c.got)
				}
				if strings.Contains(string(got), "HTTP/1.1") && c.err != nil {
					t.Errorf("%q was handed on", got)
				}
				if a := conn.RemoteAddr().String(); a != c.remote {
					t.Errorf("from %s, want %s", a, c.remote)
				}
				conn.Close()
				<-closed
			})
		}
	}
}

// TestWriteTo hands on just what Read does.
func TestWriteTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		peer string
		err  error
	}{{"10.0.0.1:1", nil}, {"11.0.0.1:1", ErrUntrusted}} {
		conn, peer := pair(&Listener{Trusted: balancers}, c.peer)
		go func() {
			io.WriteString(peer, accepted[0].in+"a")
			io.WriteString(peer, "b")
			peer.Close()
		}()
		var got strings.Builder
		n, err := io.Copy(&got, conn)
		if !errors.Is(err, c.err) || err == nil && (got.String() != "ab" || n != 2) || err != nil && n != 0 {
			t.Errorf("from %s: %q, %d, %v", c.peer, got.String(), n, err)
		}
		conn.Close()
	}
}

// TestDeadlines: the header's own and the user's, whichever comes first, and the user's again behind it.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Listener{Trusted: balancers, Timeout: 3 * time.Second}
		start := time.Now()

		conn, _ := pair(l, "10.0.0.1:1")
		_, err := conn.Read(make([]byte, 1))
		if !errors.Is(err, ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if a := conn.RemoteAddr().String(); a != "10.0.0.1:1" {
			t.Errorf("after the end: %s", a)
		}

		// Dribbled bytes do not move the deadline.
		start = time.Now()
		conn, peer := pair(l, "10.0.0.1:1")
		go func(peer net.Conn) {
			for _, b := range accepted[0].in {
				time.Sleep(200 * time.Millisecond)
				if _, err := peer.Write([]byte{byte(b)}); err != nil {
					return
				}
			}
		}(peer)
		if _, _, err = conn.Header(); !errors.Is(err, ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("dribbled: after %v: %v", time.Since(start), err)
		}

		start = time.Now()
		conn, _ = pair(l, "10.0.0.1:1")
		conn.SetReadDeadline(start.Add(time.Second))
		_, err = conn.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("the user's: after %v: %v", time.Since(start), err)
		}

		start = time.Now()
		conn, peer = pair(l, "10.0.0.1:1")
		go io.WriteString(peer, accepted[0].in)
		conn.SetDeadline(start.Add(time.Minute))
		_, err = conn.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("behind the header: after %v: %v", time.Since(start), err)
		}
		conn.Close()
	})
}

// TestHTTPServer serves behind a real listener; one that stays silent keeps nobody waiting.
func TestHTTPServer(t *testing.T) {
	t.Parallel()
	below, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: below, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Required: true}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	silent, err := net.Dial("tcp", below.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", below.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, accepted[0].in+"GET / HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "\r\n\r\n192.168.0.1:56324") {
		t.Errorf("%q, %v", answer, err)
	}
	conn.Close()
	silent.Close()
	srv.Close()
	<-served
}
