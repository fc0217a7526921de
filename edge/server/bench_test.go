package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
)

// swift is a target on a Unix socket that answers every head it gets, and allocates nothing for it.
func swift(t testing.TB, response string) *front.Target {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var works sync.WaitGroup
	works.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			works.Go(func() {
				defer c.Close()
				buf, answer := make([]byte, 16<<10), []byte(response)
				for {
					for n := 0; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")); {
						m, err := c.Read(buf[n:])
						if err != nil {
							return
						}
						n += m
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); works.Wait() })
	return targetOf(l.Addr())
}

const ordinary = "GET /index.html?a=b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: session=0123456789\r\n\r\n"

var responses = map[string]string{
	"length": "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Length: 128\r\n\r\n" + strings.Repeat("x", 128),
	"chunks": "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + strings.Repeat("x", 64) + "\r\n40\r\n" + strings.Repeat("y", 64) + "\r\n0\r\n\r\n",
}

// asker sends the ordinary request and reads what answers it, without allocating.
type asker struct {
	c       net.Conn
	request []byte
	buf     []byte
	want    int
}

func ask(t testing.TB, addr string) *asker {
	a := &asker{c: dial(t, addr), request: []byte(ordinary), buf: make([]byte, 64<<10)}
	io.WriteString(a.c, ordinary)
	for !bytes.HasSuffix(a.buf[:a.want], []byte("x")) && !bytes.HasSuffix(a.buf[:a.want], []byte("0\r\n\r\n")) {
		n, err := a.c.Read(a.buf[a.want:])
		if err != nil {
			t.Fatalf("%v after %q", err, a.buf[:a.want])
		}
		a.want += n
	}
	return a
}

func (a *asker) once() error {
	if _, err := a.c.Write(a.request); err != nil {
		return err
	}
	_, err := io.ReadFull(a.c, a.buf[:a.want])
	return err
}

// An ordinary request allocates nothing.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	if racing {
		t.Skip("the race detector allocates")
	}
	for name, response := range responses {
		r := start(t, Options{}, swift(t, response))
		a := ask(t, r.addr)
		if n := testing.AllocsPerRun(1000, func() {
			if err := a.once(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	for name, response := range responses {
		b.Run(name, func(b *testing.B) {
			r := start(b, Options{}, swift(b, response))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				a := ask(b, r.addr)
				for pb.Next() {
					if err := a.once(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	b.Run("handler", func(b *testing.B) {
		r := start(b, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", 128))
		})}, swift(b, responses["length"]))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			a := &asker{c: dial(b, r.addr), request: []byte(strings.Replace(ordinary, "/index", "/pass", 1)), buf: make([]byte, 64<<10)}
			a.c.Write(a.request)
			a.want, _ = a.c.Read(a.buf)
			for pb.Next() {
				if err := a.once(); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkIdle says what an idle connection costs in memory, once it has served a request and been idle for a while. Its
// clients are bare descriptors, and cost nothing here.
func BenchmarkIdle(b *testing.B) {
	const conns = 9_500
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < 2*conns+500 {
		b.Skipf("%d descriptors are too few", limit.Max)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := prepare(b, Options{}, swift(b, responses["length"]))
		r.settle = time.Second
		r.listen(b, func(l net.Listener) net.Listener { return l })
		ask(b, r.addr) // what is there once
		before := memory()
		fds := make([]int, conns)
		for i := range fds {
			fds[i] = bare(b, r.addr)
		}
		eventually(b, "all are parked", func() bool { return r.parked.Len() >= conns })
		b.ReportMetric(float64(memory()-before)/conns, "B/conn")
		for _, fd := range fds {
			unix.Close(fd)
		}
		eventually(b, "all are gone", func() bool { return r.Connections() <= 1 })
	}
}

func memory() int64 {
	var m runtime.MemStats
	for range 4 { // stacks shrink by half in each
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse + m.OtherSys + m.MSpanInuse)
}

// bare is a client that has asked once.
func bare(b *testing.B, addr string) int {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: a.Port, Addr: a.AddrPort().Addr().As4()}); err != nil {
		b.Fatal(err)
	}
	unix.Write(fd, []byte(ordinary))
	var buf [4096]byte
	if n, err := unix.Read(fd, buf[:]); err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 ")) {
		b.Fatalf("%q %v", buf[:n], err)
	}
	return fd
}
