package process

import (
	"fmt"
	"os"
	"testing"
)

// BenchmarkStart is a whole life of a program that does nothing, as semper runs an instance: looked up,
// with a cgroup and no new privileges, swept up after. start-ms is the part before it is past exec.
func BenchmarkStart(b *testing.B) {
	for name, change := range map[string]func(*Options){
		"plain":     func(*Options) {},
		"protected": func(o *Options) { o.NoNewPrivs = true; o.Cgroup = o.Marker; o.ReadOnly = []string{o.Dir} },
	} {
		b.Run(name, func(b *testing.B) {
			o := Options{Argv: []string{"true"}, Env: os.Environ(), Dir: b.TempDir()}
			o.Output = o.Dir + "/log"
			var starting int64
			for i := 0; b.Loop(); i++ {
				o.Marker = fmt.Sprintf("bench-%d-%d", os.Getpid(), i)
				change(&o)
				before := b.Elapsed()
				p, err := Start(o)
				if err != nil {
					b.Fatal(err)
				}
				starting += int64(b.Elapsed() - before)
				<-p.Done()
			}
			b.ReportMetric(float64(starting)/float64(b.N)/1e6, "start-ms")
		})
	}
}
