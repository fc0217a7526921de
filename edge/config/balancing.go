package config

import (
	"semper/edge/balance"
	"semper/edge/route"
)

var policies = map[route.Algorithm]balance.Policy{
	"": balance.LeastInFlight, route.Least: balance.LeastInFlight, route.RoundRobin: balance.RoundRobin,
	route.LeastTime: balance.LeastTime, route.Rendezvous: balance.Rendezvous, route.Maglev: balance.Maglev,
}

// Balancing is a rule's way to pick a backend, in the words of package balance.
func Balancing(a route.Algorithm) balance.Policy { return policies[a] }

// OrNever turns a number whose zero means none into one whose negatives do.
func OrNever(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// Policy is when backends are left out; nil when none is.
func (o *Outlier) Policy() *balance.Outlier {
	if o.Consecutive == 0 && o.FailurePercent == 0 {
		return nil
	}
	return &balance.Outlier{
		Consecutive: OrNever(o.Consecutive), Status5xx: o.Status5xx, FailurePercent: o.FailurePercent,
		Base: o.Base, Max: o.Max, MaxEjected: o.MaxEjected, Factor: -1, // rates are compared with what was configured
	}
}

// Salts keep the hashes of one key for several purposes apart.
const (
	SplitSalt   = 1
	BalanceSalt = 2
)
