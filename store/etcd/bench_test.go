package etcd_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"semper"
	"semper/store/etcd"
)

// report gives the quantiles of what was measured, since a mean hides what fsync does.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*q/100].Microseconds()), fmt.Sprintf("p%d-µs", q))
	}
}

// BenchmarkCommit is what a step of a rollout costs: two conditions, the environment and an event.
func BenchmarkCommit(b *testing.B) {
	srv := newServer(b)
	srv.start()
	c := srv.client(b, etcd.Options{})
	l, err := c.Lead(b.Context(), "role", "me")
	must(b, err)
	v := put(b, c, "environment", "0")
	var took []time.Duration
	for b.Loop() {
		t := time.Now()
		v, err = c.Commit(b.Context(), semper.Txn{
			If:   []semper.Condition{l.Fence(), {Key: "environment", Version: v}},
			Then: []semper.Write{{Key: "environment", Value: make([]byte, 2048)}, {Key: fmt.Sprintf("event/%d", v), Value: make([]byte, 256)}},
		})
		must(b, err)
		took = append(took, time.Since(t))
	}
	report(b, took)
}

func BenchmarkGet(b *testing.B) {
	srv := newServer(b)
	srv.start()
	c := srv.client(b, etcd.Options{})
	put(b, c, "environment", string(make([]byte, 2048)))
	var took []time.Duration
	for b.Loop() {
		t := time.Now()
		_, err := c.Get(b.Context(), "environment")
		must(b, err)
		took = append(took, time.Since(t))
	}
	report(b, took)
}

// BenchmarkStart is from exec to the first commit, of a store that has some history.
func BenchmarkStart(b *testing.B) {
	srv := newServer(b)
	srv.start()
	c := srv.client(b, etcd.Options{})
	for i := range 500 {
		put(b, c, fmt.Sprintf("k/%d", i), "1")
	}
	var took []time.Duration
	for b.Loop() {
		srv.kill()
		t := time.Now()
		srv.start()
		put(b, c, "first", "1")
		took = append(took, time.Since(t))
	}
	report(b, took)
}
