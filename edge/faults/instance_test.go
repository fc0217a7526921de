package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// An instance answers by its path, well or badly, and counts its connections.
type instance struct {
	address string
	open    atomic.Int64
	seen    atomic.Int64 // requests whose head has come
}

// newInstance runs an instance in this process, until the test has ended.
func newInstance(t *testing.T) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{address: l.Addr().String()}
	s := i.server()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return i
}

func (i *instance) server() *http.Server {
	return &http.Server{Handler: i, ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			i.open.Add(1)
		case http.StateClosed, http.StateHijacked: // those of handlers are closed by them
			i.open.Add(-1)
		}
	}}
}

// piece is what bodies are made of.
var piece = bytes.Repeat([]byte("0123456789abcdef"), 4<<10)

// ServeHTTP does what the path says.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.seen.Add(1)
	size, _ := strconv.Atoi(r.URL.Query().Get("n")) //nolint:errcheck // 0 then
	switch r.URL.Path {
	case "/large": // n bytes, and says so
		w.Header().Set("Content-Length", strconv.Itoa(size))
		send(w, size)
	case "/endless":
		for r.Context().Err() == nil && send(w, len(piece)) == nil {
		}
	case "/never":
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the end of the connection is only noticed behind it
		<-r.Context().Done()
	case "/upload":
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
	case "/reset": // n bytes of an answer of more, then RST
		i.reset(w, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(piece), piece[:1000])[:size])
	case "/half-open": // its end after n bytes, and it reads no more
		i.breakOff(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"[:size])
	default:
		io.WriteString(w, "ok") //nolint:errcheck // then the client has gone
	}
}

func send(w io.Writer, n int) error {
	for n > 0 {
		m, err := w.Write(piece[:min(n, len(piece))])
		if err != nil {
			return err
		}
		n -= m
	}
	return nil
}

// reset sends text, and has the connection reset.
func (i *instance) reset(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	io.WriteString(c, text)       //nolint:errcheck // then it is reset already
	c.(*net.TCPConn).SetLinger(0) //nolint:errcheck,forcetypeassert // the same
	c.Close()
}

// breakOff sends text and that nothing follows, and waits for the other side's end.
func (i *instance) breakOff(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, text)       //nolint:errcheck // then the other side has gone
	c.(*net.TCPConn).CloseWrite() //nolint:errcheck,forcetypeassert // the same
	io.Copy(io.Discard, c)        //nolint:errcheck // the same
}

// instanceMain is an instance as a process: it says where it listens, and ends with its input.
func instanceMain() int {
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(l.Addr())
	s := new(instance).server()
	go func() {
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is what counts
		s.Close()
	}()
	if err := s.Serve(l); err != http.ErrServerClosed { //nolint:errorlint // Serve returns just that
		return 1
	}
	return 0
}

// A victim is an instance that is a process.
type victim struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	in      io.Closer
}

// newVictim starts one at address, which may be ":0".
func newVictim(t *testing.T, address string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command(os.Args[0], address)}
	v.cmd.Env = append(os.Environ(), asInstance+"=1")
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.kill)
	if _, err := fmt.Fscanln(out, &v.address); err != nil {
		t.Fatal(err)
	}
	return v
}

// signal sends s to the process.
func (v *victim) signal(s syscall.Signal) {
	v.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		v.t.Fatal(err)
	}
}

// stopped reports whether no thread of the process runs.
func (v *victim) stopped() bool {
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", v.cmd.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " T") {
			return false
		}
	}
	return len(all) > 0
}

// kill ends the process, if it runs.
func (v *victim) kill() {
	if v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
		v.in.Close()
	}
}
