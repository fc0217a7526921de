package process

import (
	"net"
	"os"
	"slices"
	"testing"
)

// TestListenersBothWays has the kernel's two answers agree on the sockets of this test: on both families, and without a
// connection that somebody has opened to one of them.
func TestListenersBothWays(t *testing.T) {
	t.Parallel()
	var want []string
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // a machine without IPv6
			continue
		}
		defer l.Close()
		want = append(want, l.Addr().String())
		if address == "127.0.0.1:0" {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	slices.Sort(want)
	byDiag, byTable := make(map[string]string), make(map[string]string)
	if err := listenersByDiag(byDiag); err != nil {
		t.Skipf("this kernel has no sock_diag: %v", err)
	}
	if err := listenersByTable(os.Getpid(), byTable); err != nil {
		t.Fatal(err)
	}
	own := sockets(os.Getpid())
	for way, all := range map[string]map[string]string{"sock_diag": byDiag, "/proc/net": byTable} {
		var got []string
		for _, inode := range own {
			if a, ok := all[inode]; ok && slices.Contains(want, a) {
				got = append(got, a)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %v, want %v", way, got, want)
		}
	}
}

func TestSameNetwork(t *testing.T) {
	t.Parallel()
	if !sameNetwork(os.Getpid()) {
		t.Error("this process sees other connections than itself")
	}
	if sameNetwork(1 << 23) {
		t.Error("a process that cannot be has the same connections")
	}
}

func BenchmarkListenersByDiag(b *testing.B) {
	for b.Loop() {
		if err := listenersByDiag(make(map[string]string)); err != nil {
			b.Skip(err)
		}
	}
}

func BenchmarkListenersByTable(b *testing.B) {
	for b.Loop() {
		if err := listenersByTable(os.Getpid(), make(map[string]string)); err != nil {
			b.Fatal(err)
		}
	}
}
