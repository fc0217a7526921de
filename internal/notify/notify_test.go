package notify_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"semper/internal/notify"
)

func listen(t *testing.T) (*notify.Listener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := notify.Listen(path, 0o622)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

func TestMessageCarriesItsSender(t *testing.T) {
	t.Parallel()
	l, path := listen(t)
	if err := notify.SendTo(path, notify.Ready, "STATUS=warm = yes"); err != nil {
		t.Fatal(err)
	}
	m, err := l.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if m.PID != os.Getpid() || m.UID != os.Getuid() || m.Values["READY"] != "1" || m.Values["STATUS"] != "warm = yes" {
		t.Errorf("%+v", m)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o622 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestAwaitReturnsOnceHandled(t *testing.T) {
	_, path := listen(t)
	l, err := notify.Listen(path, 0o622) // replaces the file
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv(notify.SocketEnv, path)
	returned := make(chan error, 1)
	go func() { returned <- notify.Await(t.Context(), notify.Ready) }()
	m, err := l.Receive()
	if err != nil || m.Values["READY"] != "1" {
		t.Fatal(m, err)
	}
	select {
	case err := <-returned:
		t.Fatal("returned before it was handled", err)
	default:
	}
	go func() {
		for {
			if _, err := l.Receive(); err != nil {
				return
			}
		}
	}()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

func TestAwaitEndsWithItsContextOrItsReceiver(t *testing.T) {
	l, path := listen(t)
	t.Setenv(notify.SocketEnv, path)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := notify.Await(ctx, notify.Ready); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := notify.Await(t.Context(), notify.Ready); err == nil {
		t.Error("nobody handled it")
	}
}

func TestSilentWithoutASocket(t *testing.T) {
	t.Setenv(notify.SocketEnv, "")
	if err := errors.Join(notify.Send(notify.Ready), notify.Await(t.Context(), notify.Ready)); err != nil {
		t.Error(err)
	}
}

func TestPauseLosesNothing(t *testing.T) {
	t.Parallel()
	l, path := listen(t)
	if err := l.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := notify.SendTo(path, notify.Ready); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var f *os.File
	if err := raw.Control(func(fd uintptr) {
		d, derr := syscall.Dup(int(fd))
		f, err = os.NewFile(uintptr(d), "notify"), derr
	}); err != nil {
		t.Fatal(err)
	}
	next, err := notify.FromFile(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if m, err := next.Receive(); err != nil || m.Values["READY"] != "1" {
		t.Error(m, err)
	}
	if err := errors.Join(l.Continue(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Receive(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
