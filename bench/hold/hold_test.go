package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/edge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inProcess is an edge in this process.
func inProcess(t *testing.T, d edge.Driver) *proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := beEdge(ctx, d, w)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	p := &proxy{}
	if err := json.NewDecoder(r).Decode(&p.where); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAllWhoWaitGoOn: as many as may wait, in their order, and nobody is forgotten; not in the tail, not behind those who gave up.
func TestAllWhoWaitGoOn(t *testing.T) {
	t.Parallel()
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			tr := &trial{scale: scale{n: 360, rate: 400}, edge: inProcess(t, d)}
			f, err := tr.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.Refused != f.Asked || f.Asked == 0 {
				t.Errorf("of %d over the bound %d were refused", f.Asked, f.Refused)
			}
			if late := len(tr.late); f.Lost != 0 || f.Served != 360+late || late == 0 || f.GaveUp == 0 {
				t.Errorf("served %d, lost %d of 360 and %d who came late", f.Served, f.Lost, late)
			}
			if f.Overtaken > 360/len(paths)/4 {
				t.Errorf("somebody came %d places later than those who came after him", f.Overtaken)
			}
			t.Logf("%+v", f)
		})
	}
}

// TestOvertaking is found, and what came at the same time has no order.
func TestOvertaking(t *testing.T) {
	t.Parallel()
	low := func(numbers ...int) (all []arrival) {
		for _, n := range numbers {
			all = append(all, arrival{client: n * int(manners) * len(paths)}) // of one class
		}
		return all
	}
	tr := &trial{scale: scale{n: 1200}, group: 24} // two of a class each
	for name, test := range map[string]struct {
		came []arrival
		want int
	}{
		"as they came":       {low(0, 1, 2, 3, 4, 5), 0},
		"within its group":   {low(1, 0, 3, 2), 0},
		"by those behind":    {low(0, 2, 3, 4, 5, 1), 4},
		"at the beginning":   {low(2, 0, 1), 1},
		"somebody is gone":   {low(0, 4, 5), 0},
		"nobody came at all": {nil, 0},
	} {
		if got := tr.overtaken(test.came); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var all []arrival
	for _, ms := range []int{0, 50, 99, 100, 110, 400} {
		all = append(all, arrival{at: began.Add(time.Duration(ms) * time.Millisecond)})
	}
	if got := peak(all); got != 4 { // 50, 99, 100, 110
		t.Errorf("%v in a tenth of a second, want 4", got)
	}
}
