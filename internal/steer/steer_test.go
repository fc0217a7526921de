package steer_test

import (
	"context"
	"net"
	"testing"
	"time"

	"semper/internal/handoff"
	"semper/internal/steer"
)

// reader is what a process reads that has a slot.
func reader(t *testing.T, s handoff.Socket) net.PacketConn {
	t.Helper()
	f, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func bind(t *testing.T) []handoff.Socket {
	t.Helper()
	group, err := steer.Bind(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { handoff.Close(group) })
	return group
}

// TestPackets: each reaches the slot that its connection id names, whoever leads; one that names none reaches the leader.
func TestPackets(t *testing.T) {
	t.Parallel()
	group := bind(t)
	var readers []net.PacketConn
	for _, s := range group {
		if s.Addr() != group[0].Addr() {
			t.Fatalf("%s and %s are one group", s.Addr(), group[0].Addr())
		}
		readers = append(readers, reader(t, s))
	}
	c, err := net.Dial("udp", group[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reaches := func(packet []byte, slot int, what string) {
		t.Helper()
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		readers[slot].SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, _, err := readers[slot].ReadFrom(b); err != nil || string(b[:n]) != string(packet) {
			t.Errorf("%s: slot %d got %x, %v", what, slot, b[:n], err)
		}
	}
	for leader := range steer.Slots {
		if err := steer.Lead(group, leader); err != nil {
			t.Fatal(err)
		}
		for slot := range steer.Slots {
			id := steer.ID(slot)
			reaches(append([]byte{0x40}, id[:]...), slot, "a short header")
			reaches(append([]byte{0xc0, 0, 0, 0, 1, byte(len(id))}, id[:]...), slot, "a long header")
		}
		reaches([]byte("\xc0\x00\x00\x00\x01\x08stranger"), leader, "a new connection")
		reaches([]byte("\x40stranger____"), leader, "a short header of nobody's")
	}
}

// TestGroupsOutliveTheirNames: what a process hands on is found again, in its order, and what is not whole is told apart.
func TestGroupsOutliveTheirNames(t *testing.T) {
	t.Parallel()
	a, b, broken := bind(t), bind(t), bind(t)
	stranger := handoff.NewSocket("http", a[0].FD())
	var all []handoff.Socket
	all = append(all, steer.Named("h3", b)...)
	all = append(all, stranger)
	named := steer.Named("h3", a)
	all = append(all, named[3], named[1], named[0], named[2], named[2])
	all = append(all, steer.Named("h3", broken)[1:]...)
	groups, left := steer.Grouped("h3", all)
	if len(groups) != 2 || len(left) != 1+1+steer.Slots-1 {
		t.Fatalf("%d groups, %d left", len(groups), len(left))
	}
	for _, group := range [][]handoff.Socket{a, b} {
		for slot, s := range groups[group[0].Addr()] {
			if s.FD() != group[slot].FD() {
				t.Errorf("slot %d of %s is another socket", slot, s.Addr())
			}
		}
	}
}

func TestATakenPort(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if group, err := steer.Bind(context.Background(), c.LocalAddr().String()); err == nil {
		handoff.Close(group)
		t.Error("a port was shared with whoever did not ask for it")
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		preferred int
		taken     []int
		want      int
	}{
		{1, nil, 1}, {5, nil, 1}, {5, []int{1}, 2}, {3, []int{3, 0}, 1}, {2, []int{0, 1, 2, 3}, 2}, {7, []int{3, 3}, 0},
	} {
		if got := steer.Free(c.preferred, c.taken); got != c.want {
			t.Errorf("from %d beside %v: %d, not %d", c.preferred, c.taken, got, c.want)
		}
	}
}
