package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// never connects: each attempt ends with its context, whose deadline it notes.
func never(patience *[]time.Duration) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		at, _ := ctx.Deadline()
		*patience = append(*patience, time.Until(at))
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

// TestEachRequestHasItsOwnPatience: however the instance is spoken to, and however long package dial would take by itself.
func TestEachRequestHasItsOwnPatience(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]Protocol{"h1": H1, "h2": H2, "auto": Auto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var patience []time.Duration
				p := New(Options{Protocol: protocol, Dial: never(&patience), TLS: &tls.Config{}})
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
				if patience[0] != 50*time.Millisecond || patience[len(patience)-1] != time.Hour {
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
		var patience []time.Duration
		p := New(Options{Protocol: H2C, Dial: never(&patience)})
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
