package sockets_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"semper"
	"semper/internal/handoff"
	"semper/internal/steer"
	"semper/keeper/sockets"
)

func TestWhatIsHeldIsNotBoundAgain(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	wants, err := sockets.Wants(filepath.Join(dir, "api.sock"), []string{"127.0.0.1:0"}, nil, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first, err := sockets.Open(t.Context(), wants, nil)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, "api.sock")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	key := sockets.Key(first)
	// A connection made before is accepted after.
	c, err := net.Dial("tcp", first[1].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stray, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := handoff.FromListener("http", stray)
	if err != nil {
		t.Fatal(err)
	}
	stray.Close()
	unwanted := s.Addr()
	again, err := sockets.Open(t.Context(), wants, []handoff.Socket{first[2], first[1], first[0], s})
	if err != nil || sockets.Key(again) != key {
		t.Fatalf("%s became %s, %v", key, sockets.Key(again), err)
	}
	defer handoff.Close(again)
	l, err := again[1].Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if accepted, err := l.Accept(); err != nil {
		t.Error(err)
	} else {
		accepted.Close()
	}
	if c, err := net.Dial("tcp", unwanted); err == nil {
		c.Close()
		t.Error("what nobody wants is still held")
	}
}

func TestDeadSocketFileIsReplaced(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close()
	got, err := sockets.Open(t.Context(), []sockets.Want{{Name: "api", Network: "unix", Addr: path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer handoff.Close(got)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestTakenPortNamesItsHolder(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, err = sockets.Open(t.Context(), []sockets.Want{{Name: "https", Network: "tcp", Addr: l.Addr().String()}}, nil)
	if semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "port "+port+" is taken by sockets.test (pid "+strconv.Itoa(os.Getpid())+")") ||
		!strings.Contains(semper.HintOf(err), "--https") {
		t.Errorf("%v, hint %s", err, semper.HintOf(err))
	}
}

// TestUDPGroups: those of an address are taken back whole, and bound where there are none; the rest is closed.
func TestUDPGroups(t *testing.T) {
	t.Parallel()
	tcp, err := sockets.Open(t.Context(), []sockets.Want{{Name: "https", Network: "tcp", Addr: "127.0.0.1:0"}, {Name: "https", Network: "tcp", Addr: "127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer handoff.Close(tcp)
	one, two := tcp[0].Addr(), tcp[1].Addr()
	first, err := sockets.OpenGroups(t.Context(), []string{one}, nil)
	if err != nil || len(first) != steer.Slots {
		t.Fatalf("%v, %v", first, err)
	}
	listeners, udp := sockets.Apart(append(first, tcp...))
	if len(listeners) != 2 || len(udp) != steer.Slots {
		t.Errorf("%d and %d", len(listeners), len(udp))
	}
	both, err := sockets.OpenGroups(t.Context(), []string{two, one}, first)
	if err != nil || len(both) != 2*steer.Slots {
		t.Fatalf("%v, %v", both, err)
	}
	for slot, s := range both[steer.Slots:] {
		if s.FD() != first[slot].FD() || s.Addr() != one {
			t.Errorf("slot %d was bound again", slot)
		}
	}
	only, err := sockets.OpenGroups(t.Context(), []string{two}, both)
	if err != nil {
		t.Fatal(err)
	}
	defer handoff.Close(only)
	taken, err := net.ListenPacket("udp", one)
	if err != nil {
		t.Fatalf("what nobody wants is still held: %v", err)
	}
	defer taken.Close()
	_, err = sockets.OpenGroups(t.Context(), []string{one}, nil)
	if semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), " of UDP is taken by sockets.test (pid "+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"8080": ":8080", ":80": ":80", "localhost:1": "localhost:1", "[::1]:443": "[::1]:443"} {
		if w, err := sockets.Parse("http", in); err != nil || w.Addr != want || w.Network != "tcp" {
			t.Errorf("%q: %+v, %v", in, w, err)
		}
	}
	for _, in := range []string{"", "x", ":99999", "a:b:c", "host:"} {
		if w, err := sockets.Parse("http", in); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%q: %+v, %v", in, w, err)
		}
	}
	if _, err := sockets.Wants("/s", []string{":1"}, []string{"nonsense"}, ""); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
}

func TestTakeFromWhoeverStillHolds(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	held, err := sockets.Open(t.Context(), []sockets.Want{{Name: "http", Network: "tcp", Addr: "127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer handoff.Close(held)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	alive, gone := make(chan struct{}), make(chan struct{})
	close(gone)
	letGo := sockets.Holder{Path: filepath.Join(dir, "draining"), Gone: alive}
	dead := sockets.Holder{Path: filepath.Join(dir, "dead"), Gone: gone}
	holder := sockets.Holder{Path: filepath.Join(dir, "holder"), Gone: alive}
	if got, ok := sockets.Take(t.Context(), []sockets.Holder{dead}, time.Hour); ok {
		t.Errorf("the dead gave %v", got)
	}
	if got, ok := sockets.Take(t.Context(), []sockets.Holder{letGo, dead}, 20*time.Millisecond); ok {
		t.Errorf("nobody gave %v", got)
	}
	wg.Go(func() {
		if err := handoff.Serve(ctx, holder.Path, held); err != nil {
			t.Error(err)
		}
	})
	got, ok := sockets.Take(t.Context(), []sockets.Holder{letGo, dead, holder}, time.Hour)
	if !ok || sockets.Key(got) != sockets.Key(held) {
		t.Errorf("%v, %v", got, ok)
	}
	handoff.Close(got)
}
