package steer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"semper/internal/handoff"
)

// Bind makes the group of an address, which may have port 0. The sockets are the caller's, by slot, and have no names.
func Bind(ctx context.Context, address string) (group []handoff.Socket, err error) {
	defer func() {
		if err != nil {
			handoff.Close(group)
		}
	}()
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(cerr, err)
	}}
	for range Slots {
		u, err := c.ListenPacket(ctx, "udp", address)
		if err != nil {
			return group, err
		}
		address = u.LocalAddr().String()
		s, err := handoff.FromConn("", u.(syscall.Conn)) //nolint:errcheck,forcetypeassert // a *net.UDPConn
		if err == nil {
			group = append(group, s)
		}
		if err = errors.Join(err, u.Close()); err != nil {
			return group, err
		}
	}
	return group, nil
}

// Named are the sockets of group under names that tell their slots: "prefix/0" and so on.
func Named(prefix string, group []handoff.Socket) []handoff.Socket {
	out := make([]handoff.Socket, len(group))
	for slot, s := range group {
		out[slot] = handoff.NewSocket(prefix+"/"+strconv.Itoa(slot), s.FD())
	}
	return out
}

// Grouped puts sockets that [Named] named together again: those at one address are a group, by slot. What is of no prefix, or
// of a group that is not whole, is left; so is the second of two. Every socket is in one of the two answers.
func Grouped(prefix string, sockets []handoff.Socket) (groups map[string][]handoff.Socket, left []handoff.Socket) {
	groups = make(map[string][]handoff.Socket)
	for _, s := range sockets {
		number, of := strings.CutPrefix(s.Name, prefix+"/")
		slot, err := strconv.Atoi(number)
		address := ""
		if of && err == nil && slot >= 0 && slot < Slots {
			address = s.Addr()
		}
		if address == "" {
			left = append(left, s)
			continue
		}
		if groups[address] == nil {
			groups[address] = make([]handoff.Socket, Slots)
		}
		if groups[address][slot].Name != "" {
			left = append(left, s)
			continue
		}
		groups[address][slot] = s
	}
	for address, group := range groups {
		whole := true
		for _, s := range group {
			whole = whole && s.Name != ""
		}
		if whole {
			continue
		}
		delete(groups, address)
		for _, s := range group {
			if s.Name != "" {
				left = append(left, s)
			}
		}
	}
	return groups, left
}

// Lead has new connections at a group go to slot.
func Lead(group []handoff.Socket, slot int) error {
	p := program(slot)
	err := unix.SetsockoptSockFprog(group[0].FD(), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}) //nolint:gosec // it fits
	if err != nil {
		return fmt.Errorf("say which process gets the packets of HTTP/3: %w", err)
	}
	return nil
}

// Free is the slot for one more process: the first from preferred on that no other one has, or preferred, if all are taken.
// The one that has that then loses its connections.
func Free(preferred int, taken []int) int {
	var has [Slots]bool
	for _, slot := range taken {
		has[slot%Slots] = true
	}
	for i := range Slots {
		if slot := (preferred + i) % Slots; !has[slot] {
			return slot
		}
	}
	return preferred % Slots
}
