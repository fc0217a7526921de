package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/edge/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAsk(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/slow":
			<-r.Context().Done()
		case r.Host != "app.internal" || r.Method != http.MethodGet || r.UserAgent() != "semper-edge":
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/moved":
			w.WriteHeader(http.StatusFound)
		case r.URL.Path != "/":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	trip := &http.Transport{}
	defer trip.CloseIdleConnections()
	at := s.Listener.Addr().String()
	trip.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", at)
	}
	b := Backend{Host: "elsewhere", Single: true, Trip: trip, Dial: func(ctx context.Context) (net.Conn, error) { return trip.DialContext(ctx, "", "") }}
	for name, tc := range map[string]struct {
		c    Check
		want bool
	}{
		"well":           {Check{HTTP: true, Host: "app.internal"}, true},
		"another place":  {Check{HTTP: true, Host: "app.internal", Path: "/moved"}, true},
		"not well":       {Check{HTTP: true, Host: "app.internal", Path: "/sick"}, false},
		"by its address": {Check{HTTP: true}, false},
		"too slow":       {Check{HTTP: true, Path: "/slow", Timeout: 10 * time.Millisecond}, false},
		"no such path":   {Check{HTTP: true, Path: ":\x00"}, false},
		"it accepts":     {Check{}, true},
	} {
		if got, known := tc.c.Ask(t.Context(), b); got != tc.want || !known {
			t.Errorf("%s: %t", name, got)
		}
	}
	nobody := Backend{Dial: func(context.Context) (net.Conn, error) { return nil, net.ErrClosed }}
	if well, known := (&Check{}).Ask(t.Context(), nobody); well || !known {
		t.Error("nobody is well")
	}
	full := Backend{Dial: func(context.Context) (net.Conn, error) { return nil, os.NewSyscallError("socket", syscall.EMFILE) }}
	if well, known := (&Check{}).Ask(t.Context(), full); well || known {
		t.Error("it is known how it is, and nobody could ask")
	}
}

func TestWhereChecksComeFrom(t *testing.T) {
	t.Parallel()
	if c := Of(&config.Probe{Interval: time.Second}); c.Interval != 0 || c.HTTP {
		t.Errorf("a probe that asks nothing: %+v", c)
	}
	if c := Of(&config.Probe{TCP: true, Interval: time.Minute}); c.HTTP || c.Policy().Interval != time.Minute || c.Policy().Fast != time.Second {
		t.Errorf("by TCP: %+v", c)
	}
	if c := OfTable(semper.Health{Kind: semper.HealthHTTP, Path: "/x"}); !c.HTTP || c.Interval != 0 {
		t.Errorf("a table's: %+v", c)
	}
	if c := OfTable(semper.Health{Kind: semper.HealthExec}); c.HTTP {
		t.Errorf("what only the keeper can run: %+v", c)
	}
}
