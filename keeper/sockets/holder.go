package sockets

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listening is the state of a listening socket in /proc/net/tcp.
const listening = "0A"

// unconnected is the state of a socket that takes anybody's packets in /proc/net/udp.
const unconnected = "07"

// holders names the processes that have port on a network, "tcp" or "udp", as far as this user may look: "nginx (pid 7)".
func holders(network, port string) string {
	state := listening
	if network == "udp" {
		state = unconnected
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	var inodes []string
	for _, table := range []string{"/proc/net/" + network, "/proc/net/" + network + "6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		inodes = append(inodes, listenersIn(bufio.NewScanner(f), state, n)...)
		_ = f.Close()
	}
	if len(inodes) == 0 {
		return ""
	}
	var names []string
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		inode, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok || !slices.Contains(inodes, strings.TrimSuffix(inode, "]")) {
			continue
		}
		pid := strings.Split(link, "/")[2]
		comm, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		name := fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), pid)
		if err == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// listenersIn are the inodes of the sockets that have port in a table of /proc/net, in that state.
func listenersIn(lines *bufio.Scanner, state string, port int) []string {
	suffix := fmt.Sprintf(":%04X", port)
	var inodes []string
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && f[3] == state && strings.HasSuffix(f[1], suffix) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
