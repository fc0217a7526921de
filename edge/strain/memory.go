package strain

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// A look reads how many bytes are in use. It belongs to one goroutine.
type look struct{ samples []metrics.Sample }

// What is read: of all memory, that of objects is as large as the last collection has left, and what is free does not count.
const (
	live = iota
	cycle
	total
	objects
	unused
	free
	released
)

func newLook() *look {
	l := &look{make([]metrics.Sample, released+1)}
	for i, name := range []string{
		live: "/gc/heap/live:bytes", cycle: "/gc/cycles/total:gc-cycles", total: "/memory/classes/total:bytes",
		objects: "/memory/classes/heap/objects:bytes", unused: "/memory/classes/heap/unused:bytes",
		free: "/memory/classes/heap/free:bytes", released: "/memory/classes/heap/released:bytes",
	} {
		l.samples[i].Name = name
	}
	return l
}

// read is what is in use, and the number of the collection that tells so.
func (l *look) read() (used, cycles uint64) {
	metrics.Read(l.samples)
	v := func(i int) uint64 { return l.samples[i].Value.Uint64() }
	return v(live) + v(total) - v(objects) - v(unused) - v(free) - v(released), v(cycle)
}

// memoryLimit is the collector's limit, in bytes; 0 where there is none. One is set if the cgroup has one.
func memoryLimit() uint64 {
	if n := debug.SetMemoryLimit(-1); n != math.MaxInt64 {
		return uint64(max(n, 0))
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	n := cgroupLimit(membership, os.ReadFile)
	if n == 0 {
		return 0
	}
	n = n / 10 * 9 // the rest is the kernel's, for sockets and pages
	debug.SetMemoryLimit(int64(n))
	return n
}

// unlimited is what the kernel says, or more, where there is no limit: cgroup v1 has no word for it.
const unlimited = 1 << 60

// cgroupLimit is the least of the limits of memory of a process and all that it is part of; 0 for none. membership is its
// /proc/self/cgroup.
func cgroupLimit(membership []byte, read func(string) ([]byte, error)) uint64 {
	least := uint64(unlimited)
	lines := bufio.NewScanner(bytes.NewReader(membership))
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case parts[1] == "memory":
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if text, err := read(path.Join(root, at, file)); err == nil {
				if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
					least = min(least, n)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	if least == unlimited {
		return 0
	}
	return least
}
