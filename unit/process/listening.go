package process

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Listening is every address on which the process, or one in its group, session or descent,
// takes connections: "127.0.0.1:8000", "[::]:8000", "unix:/path". Sorted. It is what they listen on
// now; a socket it inherited counts.
func Listening(pid int) ([]string, error) {
	addresses, err := listeners(pid)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, member := range family(pid) {
		for _, inode := range sockets(member) {
			if a, ok := addresses[inode]; ok {
				found = append(found, a)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// family is pid and every process of its group, its session or its descent.
func family(pid int) []int {
	parents := make(map[int]int)
	members := map[int]bool{pid: true}
	processes(func(s stat) {
		parents[s.pid] = s.ppid
		if s.pgrp == pid || s.session == pid {
			members[s.pid] = true
		}
	})
	// A pid may be lower than its parent's, so go on until a round adds none.
	for added := true; added; {
		added = false
		for child, parent := range parents {
			if members[parent] && !members[child] {
				members[child], added = true, true
			}
		}
	}
	pids := make([]int, 0, len(members))
	for p := range members {
		pids = append(pids, p)
	}
	return pids
}

// sockets are the inodes of the sockets pid has open.
func sockets(pid int) []string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir)
	var inodes []string
	for _, e := range entries {
		to, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

// listeners maps the inode of each listening socket pid's network namespace has to its address.
func listeners(pid int) (map[string]string, error) {
	const unixListen = "00010000"
	found := make(map[string]string)
	if !sameNetwork(pid) || listenersByDiag(found) != nil {
		clear(found)
		if err := listenersByTable(pid, found); err != nil {
			return nil, err
		}
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", pid))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 7 && f[3] == unixListen {
			found[f[6]] = "unix:" + f[7]
		}
	}
	return found, nil
}

// listenersByTable is the way for another namespace, and for a kernel without sock_diag.
func listenersByTable(pid int, found map[string]string) error {
	const tcpListen = "0A"
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil && table == "tcp" {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == tcpListen {
				if a, ok := parseAddress(f[1]); ok {
					found[f[9]] = a
				}
			}
		}
	}
	return nil
}

// parseAddress reads "0100007F:1F90": 32-bit words in the machine's order, the port in the network's.
func parseAddress(s string) (string, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host + port)
	if !ok || err != nil || (len(b) != 6 && len(b) != 18) {
		return "", false
	}
	raw := b[:len(b)-2]
	if littleEndian() {
		for i := 0; i < len(raw); i += 4 {
			slices.Reverse(raw[i : i+4])
		}
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return "", false
	}
	n := uint16(b[len(b)-2])<<8 | uint16(b[len(b)-1])
	return netip.AddrPortFrom(addr.Unmap(), n).String(), true
}

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }
