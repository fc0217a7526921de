package keeper_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"semper/internal/handoff"
	"semper/internal/reserve"
)

// answerPackets has an edge answer each packet that comes to its slot with its id and slot, until close is called.
func answerPackets(group []handoff.Socket, f map[string]string) (close func(), err error) {
	slot, err := strconv.Atoi(f["--http3-slot"])
	if err != nil {
		return nil, err
	}
	file, err := group[slot].File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1500)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if _, err := c.WriteTo(fmt.Appendf(nil, "%s %d", f["--id"], slot), from); err != nil {
				return
			}
		}
	})
	return func() { c.Close(); wg.Wait() }, nil
}

// packet sends one that begins a connection, until there is an answer: an edge's name and slot.
func packet(t *testing.T, addr string) (edge string, slot int) {
	t.Helper()
	for range 20 {
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		_, err = c.Write([]byte("\xc0\x00\x00\x00\x01\x08stranger"))
		n := 0
		if err == nil {
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			n, err = c.Read(b)
		}
		c.Close()
		if err != nil {
			continue
		}
		edge, number, _ := strings.Cut(string(b[:n]), " ")
		if slot, err = strconv.Atoi(number); err != nil {
			t.Fatalf("an edge says %q", b[:n])
		}
		return edge, slot
	}
	t.Fatal("nobody answers")
	return "", 0
}

// TestPacketsFollowTheEdges: who begins a connection of HTTP/3 gets the newest edge, over upgrades, crashes and other keepers;
// and no two edges that follow each other read the same socket.
func TestPacketsFollowTheEdges(t *testing.T) {
	t.Parallel()
	addr := reserve.For(t).Address()
	with := []string{"--https", addr, "--http3", "yes"}
	w := newWorld(t).run(with...)
	edge, before := packet(t, addr)
	if edge != "edge-1" {
		t.Errorf("%s answers", edge)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what, want string, other bool) {
		t.Helper()
		edge, slot := packet(t, addr)
		if edge != want || other != (slot != before) {
			t.Errorf("%s: %s answers, slot %d after %d", what, edge, slot, before)
		}
		before = slot
	}
	w.upgrade(self)
	expect("an upgrade", "edge-2", true)

	pid := w.parts()["edge-2"].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.eventually("the edge is started again", func() bool { p := w.parts()["edge-2"].PID; return p != 0 && p != pid })
	expect("a crash of the edge", "edge-2", false)

	w.end(syscall.SIGKILL)
	expect("no keeper", "edge-2", false)
	w.run(with...)
	expect("another keeper", "edge-2", false)
	if now := w.parts()["edge-2"]; now.PID == pid || len(w.parts()) != 5 {
		t.Errorf("the edge was replaced: %+v", w.parts())
	}
	w.upgrade("")
	expect("its upgrade", "edge-3", true)

	w.end(syscall.SIGTERM) // what it runs goes on
	w.run("--https", addr)
	w.eventually("edges without HTTP/3", func() bool { return w.parts()["edge-4"].PID != 0 && len(w.parts()) == 5 })
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatalf("somebody still has the sockets: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
