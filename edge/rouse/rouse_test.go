package rouse

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/autoscale/waking"
	"semper/edge/config"
	"semper/edge/ledger"
	"semper/edge/refusal"
	"semper/edge/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWhoAsksIfItIsWell does not count: neither is the service in use, nor is it woken.
func TestWhoAsksIfItIsWell(t *testing.T) {
	t.Parallel()
	if New(&semper.Pool{}, new(Asked), new(Bell)) != nil {
		t.Error("a pool that says nothing sleeps")
	}
	asked := new(Asked)
	rule, err := config.NewRule(&route.Rule{})
	if err != nil {
		t.Fatal(err)
	}
	s := New(&semper.Pool{Wakes: waking.Service{Health: "/up", Failed: true}.Encode()}, asked, new(Bell))
	for path, exam := range map[string]bool{"/up": true, "/": false, "/upper": false} {
		if got := s.Take(&rule, &route.Query{Method: []byte("GET"), Path: []byte(path)}); got != exam {
			t.Errorf("%s: %t", path, got)
		}
	}
	if s.Take(&rule, &route.Query{Method: []byte("POST"), Path: []byte("/up")}) {
		t.Error("a POST asks for something")
	}
	if got := s.Told(3); got != (waking.Told{Asked: 3, Waiting: 3}) {
		t.Errorf("told: %+v", got)
	}
	none := New(&semper.Pool{Wakes: waking.Service{}.Encode()}, asked, new(Bell))
	if none.Take(&rule, &route.Query{Method: []byte("GET"), Path: []byte("/")}) || asked.n.Load() != 4 {
		t.Error("without a check everybody asks for something")
	}
	if f, end := s.Exam(); f.Status != 200 || f.Word != "" || end != ledger.Served {
		t.Errorf("the question whether it is well: %+v, %v", f, end)
	}
	if awake := (*Service)(nil); awake.Patience(time.Second) != time.Second || s.Patience(time.Second) < time.Hour || awake.Late() != refusal.Backend {
		t.Error("one that does not sleep is waited for longer")
	}
	if s.Late() == none.Late() || s.Late().Status != 503 || none.Late().Retry == 0 {
		t.Errorf("answers: %+v, %+v", s.Late(), none.Late())
	}
}

// TestTheBellIsHeard by whoever listens, however often it rings for nothing, and by who comes while somebody waits.
func TestTheBellIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Bell
		waiting := 0
		look := func() map[semper.PoolKey]waking.Told { return map[semper.PoolKey]waking.Told{"a": {Waiting: waiting}} }
		b.Ring() // to nobody
		got := make(chan int)
		for range 2 {
			go func() { got <- b.Await(t.Context(), look)["a"].Waiting }()
		}
		synctest.Wait()
		b.Ring() // and nobody waits any more
		synctest.Wait()
		select {
		case <-got:
			t.Error("woken for nobody")
		default:
		}
		waiting = 7
		b.Ring()
		if a, c := <-got, <-got; a != 7 || c != 7 {
			t.Errorf("told of %d and %d", a, c)
		}
		if b.Await(t.Context(), look)["a"].Waiting != 7 {
			t.Error("who comes later is not told")
		}
		waiting = 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if b.Await(ctx, look)["a"].Waiting != 0 {
			t.Error("told of somebody in the end")
		}
	})
}
