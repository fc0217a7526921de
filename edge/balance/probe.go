package balance

import "time"

// The defaults of a Probe.
const (
	defaultInterval = 10 * time.Second
	defaultRise     = 2
	defaultFall     = 3
)

// Probe is when a backend is asked how it is, and what its answers mean: the policy of active health checks. Zero fields
// stand for defaults.
type Probe struct {
	Interval time.Duration // between two probes; 0: 10 s
	Fast     time.Duration // between two while they disagree with what is held to be true; 0: Interval
	Jitter   int           // percent of the interval by which it is more or less, so that probes do not march in step; 0: none
	Rise     int           // successes in a row that make a backend healthy; 0: 2
	Fall     int           // failures in a row that make it unhealthy; 0: 3
}

// Health is what the probes of one backend have shown. The zero Health knows nothing, and believes the first probe.
//
//	          ok                    Fall × failed
//	unknown ─────► healthy  ◄──────────────────► unhealthy
//	   │                       Rise × ok              ▲
//	   └──────────────────────────────────────────────┘ failed
type Health struct {
	Known   bool
	Healthy bool
	run     int // probes in a row that disagree
}

// Next is h after one more probe, and whether that changed what is held to be true.
func (p *Probe) Next(h Health, ok bool) (next Health, changed bool) {
	if !h.Known {
		return Health{Known: true, Healthy: ok}, true
	}
	if ok == h.Healthy {
		h.run = 0
		return h, false
	}
	need := or(p.Fall, defaultFall)
	if ok {
		need = or(p.Rise, defaultRise)
	}
	if h.run++; h.run >= need {
		return Health{Known: true, Healthy: ok}, true
	}
	return h, false
}

// Delay is how long to wait until the next probe; random is uniform.
func (p *Probe) Delay(h Health, random uint64) time.Duration {
	interval := or(p.Interval, defaultInterval)
	if h.run > 0 {
		interval = or(p.Fast, interval)
	}
	spread := float64(interval) * float64(min(max(p.Jitter, 0), 100)) / 100
	return interval + time.Duration(spread*(2*float64(random>>11)/(1<<53)-1))
}
