package tunnel

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/ledger"
)

// told is an owner that closes its tunnel and tells of the end.
type told struct {
	t    *Tunnel
	ends chan ledger.End
}

func (o told) Ended(how ledger.End) {
	o.t.Close()
	o.ends <- how
}

// begin starts a tunnel of k's.
func begin(k *Tunnels, o Options) (*Tunnel, chan ledger.End) {
	t := k.New(o)
	ends := make(chan ledger.End, 1)
	t.Start(told{t, ends}, nil)
	return t, ends
}

// pipes is a tunnel over pipes, which are never parked, with its two peers.
func pipes(t *testing.T, o Options) (tun *Tunnel, ends chan ledger.End, client, backend net.Conn) {
	client, o.Client = net.Pipe()
	backend, o.Backend = net.Pipe()
	k := newTunnels(nil)
	t.Cleanup(k.Close)
	tun, ends = begin(k, o)
	return tun, ends, client, backend
}

func TestATunnelNobodyUsesEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, ends, client, backend := pipes(t, Options{Patience: time.Minute})
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
		if end := <-ends; end != ledger.Cut {
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
