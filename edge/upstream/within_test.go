package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is what never connects: each attempt ends with its context, whose deadline it notes.
type deaf struct {
	mu       sync.Mutex
	patience []time.Duration
}

func (d *deaf) dial(ctx context.Context) (net.Conn, error) {
	at, _ := ctx.Deadline()
	d.mu.Lock()
	d.patience = append(d.patience, time.Until(at))
	d.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (d *deaf) noted() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.patience)
}

// TestEachRequestHasItsOwnPatience: however the instance is spoken to, and however long package dial would take by itself.
func TestEachRequestHasItsOwnPatience(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]Protocol{"h1": H1, "h2": H2, "auto": Auto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var instance deaf
				p := New(Options{Protocol: protocol, Dial: instance.dial, TLS: &tls.Config{}})
				defer p.Close()
				for _, within := range []time.Duration{50 * time.Millisecond, time.Hour} {
					begun := time.Now()
					_, err := p.RoundTripWithin(request(t, http.MethodGet, ""), within)
					var e *Error
					if !errors.As(err, &e) || e.Op != Connect || !Unsent(err) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v: %v", within, err)
					}
					if took := time.Since(begun); took != within {
						t.Errorf("it took %v, want %v", took, within)
					}
				}
				if patience := instance.noted(); patience[0] != 50*time.Millisecond || patience[len(patience)-1] != time.Hour {
					t.Errorf("dialled with %v", patience)
				}
			})
		})
	}
}

// TestPatienceIsNotShared: over HTTP/2 requests wait for one connection. One that has more patience than whoever began to
// connect goes on, and connects anew.
func TestPatienceIsNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Protocol: H2C, Dial: new(deaf).dial})
		defer p.Close()
		begun := time.Now()
		took := make(chan time.Duration, 2)
		for _, within := range []time.Duration{time.Second, 10 * time.Second} {
			go func() {
				_, err := p.RoundTripWithin(request(t, http.MethodGet, ""), within)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				took <- time.Since(begun)
			}()
			synctest.Wait() // the impatient one begins
		}
		if first, second := <-took, <-took; first != time.Second || second != 10*time.Second {
			t.Errorf("they waited %v and %v", first, second)
		}
	})
}
