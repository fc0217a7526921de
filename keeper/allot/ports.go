package allot

import (
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"semper"
)

// The range of ports instances get. It lies below the kernel's range for outgoing connections, so no
// client's port can be in the way.
const (
	FirstPort = 20000
	LastPort  = 29999
)

// Ports gives out ports. A port belongs to one owner until it is freed, over any number of restarts.
// While it does, a name in the kernel (an abstract socket, gone with this process) keeps every other
// semper on the machine off it, also in the moments in which the owner does not listen.
// It is safe for concurrent use.
type Ports struct {
	mu     sync.Mutex // guards the following
	next   int
	owners map[int]port
}

type port struct {
	owner string
	claim int // descriptor of the claim, -1 for none
}

// NewPorts begins at a place in the range that depends on seed, so that several sempers on a machine
// seldom try the same ports.
func NewPorts(seed string) *Ports {
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed)) // never fails
	return &Ports{next: FirstPort + int(h.Sum32()%(LastPort-FirstPort+1)), owners: map[int]port{}}
}

// Take gives owner the next free port.
func (p *Ports) Take(owner string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range LastPort - FirstPort + 1 {
		n := p.next
		p.next++
		if p.next > LastPort {
			p.next = FirstPort
		}
		if _, taken := p.owners[n]; taken {
			continue
		}
		fd, err := claim(n)
		if err != nil {
			continue
		}
		if !Free(n) {
			_ = unix.Close(fd)
			continue
		}
		p.owners[n] = port{owner: owner, claim: fd}
		return n, nil
	}
	return 0, &semper.Error{
		Code: semper.Unavailable, Op: "choose a port", Hint: "stop instances, or use listen: socket",
		Message: fmt.Sprintf("no port from %d to %d is free", FirstPort, LastPort),
	}
}

// Keep says that owner has port n already, from before this process. It reports false when another
// owner has it.
func (p *Ports) Keep(n int, owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have, taken := p.owners[n]; taken {
		return have.owner == owner
	}
	fd, err := claim(n)
	if err != nil {
		fd = -1 // somebody claims it who came while no keeper was here; the instance that listens wins
	}
	p.owners[n] = port{owner: owner, claim: fd}
	return true
}

// Release gives port n back, if owner has it.
func (p *Ports) Release(n int, owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, taken := p.owners[n]
	if !taken || have.owner != owner {
		return
	}
	if have.claim >= 0 {
		_ = unix.Close(have.claim)
	}
	delete(p.owners, n)
}

// Free reports whether nothing listens on port n of this machine's loopback, found by binding it.
func Free(n int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(n)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func claim(n int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@semper-port-" + strconv.Itoa(n)}); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
