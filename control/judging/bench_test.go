package judging_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"semper/control/judging"
	"semper/verify"
)

// BenchmarkLook is one look at one rollout, with errors and latencies on both arms of one edge and one service.
func BenchmarkLook(b *testing.B) {
	same := behaviour{errors: .001, median: 20 * time.Millisecond}
	w := newWorld(1, same, same)
	w.rate = 200
	var looks []judging.Look
	for range 200 {
		w.second()
		looks = append(looks, w.look())
	}
	spent := processor()
	for b.Loop() {
		j := newJudge(b, terms())
		for _, l := range looks {
			if _, err := j.Look(l); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(spent()/float64(b.N*len(looks)), "cpu-ns/look")
	b.ReportMetric(spent()/float64(b.N*len(looks)*2), "cpu-ns/metric")
}

// processor returns the nanoseconds of processor time since it was called: others may be busy on the machine.
func processor() func() float64 {
	now := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return float64(u.Utime.Nano() + u.Stime.Nano())
	}
	from := now()
	return func() float64 { return now() - from }
}

// BenchmarkManyMetrics is 100 rollouts of 1,000 metrics each, looked at once: what has to be done in a second. Its goal is a tenth of one
// core, 100 ms.
func BenchmarkManyMetrics(b *testing.B) {
	for _, kind := range []struct {
		name   string
		metric verify.Metric
		sample func(i int) verify.Sample
	}{
		{"errors", verify.Metric{Kind: verify.Errors}, func(i int) verify.Sample {
			return verify.Sample{Counts: []verify.Batch{batchOf(100, int64(i%10/9), 0)}}
		}},
		{"gauges", verify.Metric{Kind: verify.Gauge}, func(i int) verify.Sample {
			return verify.Sample{Values: &[2]float64{float64(100 + i%7), float64(100 + i%5)}}
		}},
		{"means", verify.Metric{Kind: verify.Mean}, func(i int) verify.Sample {
			m := verify.Moments{N: 10, Sum: float64(10 + i%3), Squares: float64(20 + i%3)}
			return verify.Sample{Moments: &[2]verify.Moments{m, m}}
		}},
		{"latency of one threshold", verify.Metric{Kind: verify.Latency, Thresholds: []verify.Threshold{{Name: "p99", At: time.Second, Weight: 1}}}, func(i int) verify.Sample {
			return verify.Sample{Counts: []verify.Batch{batchOf(100, int64(i%3), 1)}}
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			const rollouts, metrics = 100, 1000
			judges := make([]*verify.Judge, rollouts)
			names := make([]string, metrics)
			var p verify.Plan
			for i := range names {
				names[i] = fmt.Sprintf("metric-%d", i)
				m := kind.metric
				m.Name = names[i]
				p.Metrics = append(p.Metrics, m)
			}
			for i := range judges {
				var err error
				if judges[i], err = verify.NewJudge(p, began); err != nil {
					b.Fatal(err)
				}
			}
			at := began
			spent := processor()
			for b.Loop() {
				at = at.Add(time.Second)
				for _, j := range judges {
					for i, name := range names {
						if err := j.Observe(at, name, kind.sample(i+int(at.Unix()))); err != nil {
							b.Fatal(err)
						}
					}
					_, _ = j.Outcome(at, verify.Need{})
				}
			}
			b.ReportMetric(spent()/float64(b.N*rollouts*metrics), "cpu-ns/metric")
		})
	}
}

func batchOf(n, candidate, baseline int64) verify.Batch { return pairs(n, candidate, baseline) }
