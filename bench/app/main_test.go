package main

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"semper/bench/load"
)

// The load generator is the specification of what the app has to answer.
func TestAnswersAreGoodToTheLoadGenerator(t *testing.T) {
	t.Parallel()
	retired, retire := context.WithCancel(context.Background())
	defer retire()
	a := &app{release: "r7", body: page("r7"), retired: retired.Done()}
	s := httptest.NewServer(a.handler())
	defer s.Close()
	g := load.Start(t.Context(), load.Config{Address: s.Listener.Addr().String(), KeepAlive: 2, Slow: 1, SlowPath: "/halves?ms=20", Sockets: 2, SocketGap: time.Millisecond})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if r := g.Report(); r.Sockets.Messages > 10 && r.Requests > 100 {
			break
		}
	}
	r := g.Stop()
	if r.Failed != 0 || r.Releases["r7"] != r.Requests {
		t.Errorf("got %+v", r)
	}
	retire()
	a.sockets.Wait()
}
