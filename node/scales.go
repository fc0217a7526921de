package node

import (
	"maps"
	"slices"

	"semper"
	"semper/api"
	"semper/edge/metrics"
)

// scaleFamilies are the services that are scaled by themselves as metrics, of a control process that leads.
func scaleFamilies(all map[semper.EnvironmentKey][]api.Scaling) []metrics.Family {
	gauge := func(name, help string, value func(s *api.Scaling) float64) metrics.Family {
		return metrics.Family{Name: name, Help: help, Kind: metrics.Gauge, Collect: func(yield func(float64, ...metrics.Label)) {
			for _, env := range slices.Sorted(maps.Keys(all)) {
				list := all[env]
				for i := range list {
					s := &list[i]
					yield(value(s), metrics.Label{Name: "semper_app", Value: s.App}, metrics.Label{Name: "semper_pool", Value: string(env) + "/" + s.Service})
				}
			}
		}}
	}
	return []metrics.Family{
		gauge("semper_scale_instances", "Instances that should run.", func(s *api.Scaling) float64 { return float64(s.Now) }),
		gauge("semper_scale_ready_instances", "Those of them that are ready.", func(s *api.Scaling) float64 { return float64(s.Ready) }),
		gauge("semper_scale_needed_instances", "Instances that the load asks for, whatever the bounds are.", func(s *api.Scaling) float64 { return float64(s.Need) }),
		gauge("semper_scale_min_instances", "The least that may run.", func(s *api.Scaling) float64 { return float64(s.Min) }),
		gauge("semper_scale_max_instances", "The most that may run.", func(s *api.Scaling) float64 { return float64(s.Max) }),
		gauge("semper_scale_requests", "Requests in flight and waiting, averaged over some seconds.", func(s *api.Scaling) float64 { return s.Load }),
		gauge("semper_scale_by_hand", "Whether somebody has given the number.", func(s *api.Scaling) float64 { return truth(s.ByHand) }),
	}
}
