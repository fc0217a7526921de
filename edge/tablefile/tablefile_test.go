package tablefile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper"
)

func TestTablesSurviveTheFile(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := semper.Table{
		Epoch: 9, Routes: []semper.Route{{Host: "a<&>.example", Path: "/x", Pool: "a/p/w"}},
		Pools: []semper.Pool{{Key: "a/p/w", App: "a", Release: "r1", Hold: semper.Holds{{Writes: true, Since: at, By: "me"}},
			Limits:  semper.HoldLimits{Requests: 1, Bytes: 2, Age: 3, Rate: 4},
			Backend: []semper.Backend{{ID: "a/w.r1.1", Address: "unix:/x", PID: 1, StartTicks: 1 << 63, Health: semper.Health{Kind: semper.HealthHTTP, Path: "/"}}}}},
		Draining: []semper.Draining{{App: "a", Release: "r0", Instances: []semper.InstanceID{"x"}, Request: at, Stream: at, WebSocket: at}},
	}
	b, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// FuzzTable: no file makes the loader panic, and what it takes is what is in it.
func FuzzTable(f *testing.F) {
	b, err := encode(semper.Table{Epoch: 1, Pools: []semper.Pool{{Key: "a/b/c", App: "a"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1,"digest":"sha256:x","table":{}}`))
	f.Add([]byte(`{"format":1,"table":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(tab)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again); err != nil || !cmp.Equal(tab, back) {
			t.Fatalf("%v\n%s", err, cmp.Diff(tab, back))
		}
	})
}
