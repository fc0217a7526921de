package tunnel

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/ledger"
)

// pair is a tunnel with its two peers.
func pair(o Options) (t *Tunnel, client, backend net.Conn) {
	client, o.Client = net.Pipe()
	backend, o.Backend = net.Pipe()
	o.Read = o.Client
	return New(o), client, backend
}

func TestATunnelNobodyUsesEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tun, client, backend := pair(Options{Patience: time.Minute})
		ended := make(chan ledger.End, 1)
		go func() { ended <- tun.Run() }()
		var b [1]byte
		for range 5 { // it is used, and lives
			time.Sleep(50 * time.Second)
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(backend, b[:]); err != nil {
				t.Fatal(err)
			}
		}
		used := time.Now()
		if _, err := client.Read(b[:]); err == nil {
			t.Error("something came from nowhere")
		}
		if quiet := time.Since(used); quiet < time.Minute || quiet > time.Minute+2*leave {
			t.Errorf("ended after %v without a byte", quiet)
		}
		if end := <-ended; end != ledger.Cut {
			t.Errorf("it ended as %v", end)
		}
		backend.Close() //nolint:errcheck // over
	})
}

func TestPaced(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := now.Add(time.Minute)
	before := now
	for i := range 1000 {
		f := Paced(now, at, i, 1000)
		if f.Soft.Before(before) || f.Soft.After(at) || f.Force.After(at) {
			t.Fatalf("tunnel %d: %v to %v", i, f.Soft, f.Force)
		}
		before = f.Soft
	}
	if before.Sub(Paced(now, at, 0, 1000).Soft) < longest*9/10 {
		t.Error("a thousand ends are not spread")
	}
}
