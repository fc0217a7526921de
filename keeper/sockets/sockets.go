package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper"
	"semper/internal/handoff"
)

// A Want is a socket there should be: its name for handoff, "tcp" or "unix", and where.
type Want struct {
	Name, Network, Addr string
	// Open lets every user of the machine connect to a unix socket; without it only this one does. Who listens asks who they are.
	Open bool
}

// Parse checks a TCP address a person gave ("host:port", ":port" or "port").
func Parse(name, addr string) (Want, error) {
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil && port == "" {
		err = errors.New("the port is missing")
	}
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return Want{}, &semper.Error{
			Code: semper.Invalid, Op: "listen", Message: fmt.Sprintf("%q is not an address", addr), Err: err,
			Hint: "write it as host:port or :port",
		}
	}
	return Want{Name: name, Network: "tcp", Addr: net.JoinHostPort(host, port)}, nil
}

// Wants are the sockets of a machine: the API's, on the unix socket at path and, unless apitcp is
// empty, an address, and the public ones.
func Wants(path string, http, https []string, apitcp string) ([]Want, error) {
	wants := []Want{{Name: "api", Network: "unix", Addr: path}}
	add := func(name string, addrs ...string) error {
		for _, addr := range addrs {
			w, err := Parse(name, addr)
			if err != nil {
				return err
			}
			wants = append(wants, w)
		}
		return nil
	}
	err := errors.Join(add("http", http...), add("https", https...))
	if apitcp != "" {
		err = errors.Join(err, add("apitcp", apitcp))
	}
	return wants, err
}

// Open is a socket for each want, in their order: one of have where it fits, else newly bound. What
// of have fits no want is closed. On an error everything is closed. The caller holds the lock of the
// data directory, so a unix socket's file that nobody in have listens on is a dead one and replaced.
func Open(ctx context.Context, wants []Want, have []handoff.Socket) ([]handoff.Socket, error) {
	spare := append([]handoff.Socket(nil), have...)
	got := make([]handoff.Socket, len(wants))
	for i, w := range wants {
		for j, s := range spare {
			if s.Name == w.Name && w.fits(s.Addr()) {
				got[i] = s
				spare = append(spare[:j], spare[j+1:]...)
				break
			}
		}
	}
	handoff.Close(spare)
	for i, w := range wants {
		if got[i].Name != "" {
			continue
		}
		s, err := w.bind(ctx)
		if err != nil {
			for _, s := range got {
				if s.Name != "" {
					handoff.Close([]handoff.Socket{s})
				}
			}
			return nil, err
		}
		got[i] = s
	}
	return got, nil
}

// Key names a set of sockets, to tell whether a part was given the ones there are now.
func Key(sockets []handoff.Socket) string {
	names := make([]string, len(sockets))
	for i, s := range sockets {
		names[i] = s.Name + "=" + s.Addr()
	}
	return strings.Join(names, " ")
}

// fits tells whether a socket bound to addr is what w wants. Port 0 wants any.
func (w Want) fits(addr string) bool {
	if w.Network == "unix" {
		_, err := os.Stat(w.Addr)
		return addr == w.Addr && err == nil
	}
	want, err := resolve(w.Addr)
	have, herr := netip.ParseAddrPort(addr)
	if err != nil || herr != nil || want.Port() != 0 && want.Port() != have.Port() {
		return false
	}
	a, b := want.Addr().Unmap(), have.Addr().Unmap()
	return a == b || a.IsUnspecified() && b.IsUnspecified()
}

func resolve(addr string) (netip.AddrPort, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		ip = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(ip, uint16(a.Port)), nil
}

// bind makes a new socket. Its listener in this process is closed at once: the keeper holds sockets
// and never accepts on them.
func (w Want) bind(ctx context.Context) (handoff.Socket, error) {
	if w.Network == "unix" {
		if err := os.Remove(w.Addr); err != nil && !errors.Is(err, os.ErrNotExist) {
			return handoff.Socket{}, &semper.Error{Code: semper.Invalid, Op: "listen on " + w.Addr, Err: err}
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, w.Network, w.Addr)
	if err != nil {
		return handoff.Socket{}, w.refused(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		mode := os.FileMode(0o600)
		if w.Open {
			mode = 0o666
		}
		err = os.Chmod(w.Addr, mode)
	}
	s, ferr := handoff.FromListener(w.Name, l)
	if err = errors.Join(err, ferr, l.Close()); err != nil {
		return handoff.Socket{}, &semper.Error{Code: semper.Internal, Op: "listen on " + w.Addr, Err: err}
	}
	return s, nil
}

// refused says who has the port, or which right is missing.
func (w Want) refused(err error) error {
	e := &semper.Error{Code: semper.Invalid, Op: "listen on " + w.Addr, Err: err}
	flag := "--" + strings.TrimSuffix(w.Name, "tcp")
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(w.Addr)
		e.Code, e.Err = semper.Conflict, nil
		e.Message = "port " + port + " is taken"
		if w.Network == "udp" {
			e.Message = "port " + port + " of UDP is taken"
		}
		e.Hint = "choose another with " + flag + ", or stop what listens there"
		if who := holders(w.Network, port); who != "" {
			e.Message += " by " + who
		}
	case errors.Is(err, syscall.EACCES):
		e.Hint = "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; choose another with " + flag
	}
	return e
}

// A Holder is a living part that offers its sockets at Path, until Gone is closed.
type Holder struct {
	Path string
	Gone <-chan struct{}
}

// Take fetches the sockets from whichever holder gives them first: all of them hold the same, and one
// that is draining may have let go of them. A holder that has only just started may not offer them
// yet, so each is asked again for as long as patience lasts. It reports false when none gave any.
func Take(ctx context.Context, holders []Holder, patience time.Duration) ([]handoff.Socket, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var wg sync.WaitGroup
	given := make([][]handoff.Socket, len(holders))
	for i, h := range holders {
		wg.Go(func() {
			if given[i] = h.take(ctx); given[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return slices.Concat(given...), slices.ContainsFunc(given, func(s []handoff.Socket) bool { return s != nil })
}

// take is what h gives, nil for nothing.
func (h Holder) take(ctx context.Context) []handoff.Socket {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if got, err := handoff.Fetch(ctx, h.Path); err == nil {
			return got
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.Gone:
			return nil
		case <-tick.C:
		}
	}
}
