package arms

import (
	"semper"
	"semper/edge/metrics"
)

// SeriesOf is where requests that p's instances get are counted for people: an arm by its service's pool.
func SeriesOf(p *semper.Pool) metrics.Key {
	return metrics.Key{App: p.App, Release: string(p.Release), Pool: string(p.Stable()), Arm: string(p.Arm)}
}

// WeightFamily shows which part of its service's requests each pool gets, as the route table has it.
func WeightFamily(read func(yield func(s metrics.Key, share float64))) metrics.Family {
	return metrics.Family{
		Name: "semper_traffic_weight_ratio", Kind: metrics.Gauge,
		Help: "Which part of the requests for its pool a release gets, by the route table, from 0 to 1.",
		Collect: func(yield func(float64, ...metrics.Label)) {
			read(func(s metrics.Key, share float64) { yield(share, s.Labels()...) })
		},
	}
}
