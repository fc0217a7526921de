package carry

import (
	"context"
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"

	"semper/edge/front"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a listener and its driver, which has as many connections as it is told.
type fake struct {
	net.Listener
	front.Driver
	conns, closes int
}

func (f *fake) Accept() (net.Conn, error)                 { return nil, errors.ErrUnsupported }
func (f *fake) Addr() net.Addr                            { return nil }
func (f *fake) Serve(context.Context, net.Listener) error { return nil }
func (f *fake) Connections() int                          { return f.conns }
func (f *fake) Close() error                              { f.closes++; return nil }

type carrier struct {
	net.Listener
	*fake
}

func (c carrier) Accept() (net.Conn, error)  { return nil, errors.ErrUnsupported }
func (c carrier) Addr() net.Addr             { return nil }
func (c carrier) Close() error               { return nil }
func (c carrier) Driver(func()) front.Driver { return c.fake }

// TestADriverStaysWhileItHasConnections, and none begins when all are shut.
func TestADriverStaysWhileItHasConnections(t *testing.T) {
	t.Parallel()
	var s Carriers
	busy, done, next, late := &fake{conns: 1}, &fake{}, &fake{}, &fake{}
	for _, f := range []*fake{busy, done, next} {
		if err := s.Serve(t.Context(), carrier{fake: f}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Drivers()); n != 2 || busy.closes != 0 || done.closes != 1 || next.closes != 0 {
		t.Errorf("%d drivers, closed %d, %d, %d times", n, busy.closes, done.closes, next.closes)
	}
	s.Shut()
	if err := s.Serve(t.Context(), carrier{fake: late}, nil); !errors.Is(err, net.ErrClosed) || late.closes != 1 || len(s.Drivers()) != 2 {
		t.Errorf("%v, closed %d times", err, late.closes)
	}
}
