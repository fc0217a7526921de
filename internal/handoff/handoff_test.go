package handoff_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/internal/handoff"
)

// heirEnv makes the test binary inherit listeners, answer one connection on each and end.
const heirEnv = "SEMPER_HANDOFF_TEST_HEIR"

func TestMain(m *testing.M) {
	if os.Getenv(heirEnv) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	byName, sockets, err := handoff.Listeners()
	if err != nil || os.Getenv(handoff.Env) != "" {
		fmt.Println("not inherited:", err)
		os.Exit(1)
	}
	for _, s := range sockets {
		for _, l := range byName[s.Name] {
			c, err := l.Accept()
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Fprintf(c, "%s of the heir", s.Name)
			c.Close()
		}
	}
}

func tcp(t *testing.T, name string) handoff.Socket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := handoff.FromListener(name, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve offers sockets until the test ends.
func serve(t *testing.T, path string, sockets []handoff.Socket) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := handoff.Serve(ctx, path, sockets); err != nil {
			t.Error(err)
		}
	})
	return sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// fetch tries until somebody offers.
func fetch(t *testing.T, path string) []handoff.Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		got, err := handoff.Fetch(ctx, path)
		if err == nil {
			return got
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestConnectionsWaitWhileTheSocketChangesHands(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "s")
	held := []handoff.Socket{tcp(t, "http"), tcp(t, "http")}
	addrs := []string{held[0].Addr(), held[1].Addr()}
	stop := serve(t, path, held)
	defer stop()
	got := fetch(t, path)
	stop()
	handoff.Close(held) // the holder is gone
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the offer is still there: %v", err)
	}
	for i, s := range got {
		if s.Name != "http" || s.Addr() != addrs[i] {
			t.Errorf("%d: %s at %s, want %s", i, s.Name, s.Addr(), addrs[i])
		}
		c, err := net.Dial("tcp", addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l, err := s.Listen()
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept() // the connection that waited
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", addrs[i]); err != nil {
			t.Errorf("closing a listener closed the socket: %v", err)
		} else {
			c.Close()
		}
	}
	handoff.Close(got)
	if c, err := net.Dial("tcp", addrs[0]); err == nil {
		c.Close()
		t.Error("somebody still holds the socket")
	}
}

func TestClosingAListenerKeepsTheSocketFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s, err := handoff.FromListener("api", l)
	if err != nil {
		t.Fatal(err)
	}
	defer handoff.Close([]handoff.Socket{s})
	copied, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	copied.Close()
	l.Close()
	if s.Addr() != path {
		t.Errorf("address %q", s.Addr())
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestChildInherits(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sockets := []handoff.Socket{tcp(t, "http"), tcp(t, "api")}
	defer handoff.Close(sockets)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), heirEnv+"=1", handoff.Environ(sockets, 3))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil || string(b) != s.Name+" of the heir" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, &out)
	}
}

func TestInheritedRefusesNonsense(t *testing.T) {
	for _, v := range []string{"http", "http=", "http=x", "=3", "http=1", "http=9999"} {
		t.Setenv(handoff.Env, v)
		if got, err := handoff.Inherited(); err == nil {
			t.Errorf("%q gave %v", v, got)
		}
	}
	t.Setenv(handoff.Env, "")
	if got, err := handoff.Inherited(); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", path) // accepts nothing, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := handoff.Fetch(ctx, path); err == nil {
		t.Error("fetched from nobody")
	}
}
