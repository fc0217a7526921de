package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"semper/bench/proxy/contender"
)

// A row is one figure of every contender.
type row struct {
	key    string
	what   string
	unit   string
	digits int
	claims []claim
}

// A claim is about semper's figure: as a ratio of a peer's, or by itself.
type claim struct {
	peer  string // "": the figure itself
	of    string // the peer's row, where it is another
	limit float64
	least bool // the ratio is to be at least the limit; else at most
}

// rows are the table "How good" of issue 4, and of issue 5 what releases on trial cost the edge.
func rows() []row {
	var all []row
	for _, n := range connections {
		tcp := []claim{{peer: contender.Nginx, limit: 0.95}, {peer: contender.HAProxy, limit: 0.92}}
		if n > 64 {
			tcp = []claim{{peer: contender.Nginx, limit: 0.90}, {peer: contender.HAProxy, limit: 0.90}}
		}
		tcp = append(tcp, claim{peer: contender.Caddy, limit: 0.30}, claim{peer: contender.Reverse, limit: 0.45})
		all = append(all, row{cpuRow("tcp", n), fmt.Sprintf("CPU per request, %d connections, TCP instance", n), "µs", 2, tcp},
			row{cpuRow("unix", n), "the same, unix-socket instance (claims: against the peers' TCP)", "µs", 2, []claim{
				{peer: contender.Nginx, of: cpuRow("tcp", n), limit: 0.75}, {peer: contender.HAProxy, of: cpuRow("tcp", n), limit: 0.75}}})
	}
	all = append(all, row{key: "openloop/maximum", what: "answered at most, 64 connections, bounded by the load's core", unit: "/s"})
	for _, p := range percents {
		for _, q := range quantiles {
			var claims []claim
			if q.name != "p50" {
				claims = []claim{{peer: contender.HAProxy, limit: 1}}
			}
			all = append(all, row{latencyRow(p, q.name), fmt.Sprintf("%s at %d %% of the slowest peer's maximum", q.name, p), "µs", 0, claims})
		}
	}
	return append(all, fixedRows...)
}

var fixedRows = []row{
	{"tls/keepalive", "CPU per request, TLS, 64 kept connections", "µs", 2, []claim{{peer: contender.Nginx, limit: 1.15}}},
	{"tls/handshake", "CPU per new TLS connection with one request, ECDSA P-256", "µs", 1, nil},
	{"tls/h2", "CPU per request, HTTP/2 over TLS, 16 connections of 8 streams", "µs", 2, nil},
	{"bodies/down/64k", "64 KB answers, per second of CPU", "MB", 0, []claim{{peer: contender.Nginx, limit: 0.95, least: true}}},
	{"bodies/down/10m", "10 MB answers, per second of CPU", "MB", 0, []claim{{peer: contender.Nginx, limit: 0.95, least: true}}},
	{"bodies/up/64k", "64 KB uploads, per second of CPU", "MB", 0, []claim{{peer: contender.Nginx, limit: 0.95, least: true}}},
	{"bodies/up/10m", "10 MB uploads, per second of CPU", "MB", 0, []claim{{peer: contender.Nginx, limit: 0.95, least: true}}},
	{"idle/connection", "memory per idle kept connection", "bytes", 0, []claim{{limit: 3 << 10}, {peer: contender.Nginx, limit: 1}, {peer: contender.HAProxy, limit: 1}}},
	{"idle/websocket", "memory per idle WebSocket", "bytes", 0, []claim{{limit: 8 << 10}, {peer: contender.Nginx, limit: 1}, {peer: contender.HAProxy, limit: 1}}},
	{"judge/cpu/plain", "CPU per request with a user's cookie, no release on trial", "µs", 2, nil},
	{"judge/cpu/chance", "CPU per request, split by request, 5 % candidate and 5 % baseline", "µs", 2, []claim{{peer: contender.Semper, of: "judge/cpu/plain", limit: 1.01}}},
	{"judge/cpu/user", "CPU per request, split by user, 5 % and 5 %", "µs", 2, []claim{{peer: contender.Semper, of: "judge/cpu/plain", limit: 1.01}}},
	{"judge/paced/plain", "CPU per request at a quarter of the most it answers, no release on trial", "µs", 2, nil},
	{"judge/paced/shadow", "CPU per request at a quarter, shadow of 10 % to candidate and baseline", "µs", 2, nil},
	{"judge/copies", "copies for each request of that shadow", "", 3, nil},
	{"judge/added", "CPU that the shadow adds beyond as many requests more, as a part of a request's", "", 3, []claim{{limit: 0.05}}},
	{"judge/p99/plain", "p99 at a quarter, no release on trial", "µs", 0, nil},
	{"judge/p99/chance", "p99 at a quarter, split by request", "µs", 0, []claim{{peer: contender.Semper, of: "judge/p99/plain", limit: 1.05}}},
	{"judge/p99/user", "p99 at a quarter, split by user", "µs", 0, []claim{{peer: contender.Semper, of: "judge/p99/plain", limit: 1.05}}},
	{moreRow, "p99 at a quarter and a fifth of it more, no release on trial", "µs", 0, nil},
	{"judge/p99/shadow", "p99 at a quarter, shadow of 10 %", "µs", 0, []claim{
		{peer: contender.Semper, of: "judge/p99/plain", limit: 1.05}, {peer: contender.Semper, of: moreRow, limit: 1.05}}},
	{"deploys/failed", "failed requests in deploys under load", "", 0, []claim{{limit: 0}}},
	{"deploys/p99", "p99 during deploys / p99 without", "", 2, []claim{{limit: 1.1}}},
	{"allocs", "allocations per ordinary request", "", 0, []claim{{limit: 0}}},
}

// A spread is a figure over the rounds. Low and High are what its median is between, at 95 %; nothing where there are too few rounds to tell.
type spread struct {
	Median, Min, Max float64
	Low, High        float64 `json:",omitzero"`
}

// manyRounds are enough to tell how sure a median is.
const manyRounds = 12

func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(v))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (s[len(s)/2-1] + m) / 2
	}
	found := spread{Median: m, Min: s[0], Max: s[len(s)-1]}
	if n := float64(len(s)); len(s) >= manyRounds { // the sign test's interval: how many of n lie below the median is binomial, with a half
		aside := int(n/2-1.96*math.Sqrt(n)/2) - 1
		found.Low, found.High = s[aside], s[len(s)-1-aside]
	}
	return found
}

// values of a row and a contender, by round.
func values(all []reading, row, name string) []float64 {
	var v []float64
	for _, r := range all {
		if r.Row == row && r.Contender == name {
			v = append(v, r.Value)
		}
	}
	return v
}

// ratios of one contender's row to another's, of the rounds that both have.
func ratios(all []reading, row, name, ofRow, ofName string) []float64 {
	of := map[int]float64{}
	for _, r := range all {
		if r.Row == ofRow && r.Contender == ofName {
			of[r.Round] = r.Value
		}
	}
	var found []float64
	for _, r := range all {
		if to := of[r.Round]; r.Row == row && r.Contender == name && to != 0 {
			found = append(found, r.Value/to)
		}
	}
	return found
}

// A verdict is a claim with what became of it.
type verdict struct {
	Row, Claim, Target string
	Measured           spread
	Reached            bool
}

// judgements of all claims whose figures are there.
func judgements(all []reading) []verdict {
	var found []verdict
	for _, r := range rows() {
		for _, c := range r.claims {
			measured, against := values(all, r.key, contender.Semper), "semper"
			if c.peer != "" {
				of := cmp.Or(c.of, r.key)
				measured, against = ratios(all, r.key, contender.Semper, of, c.peer), "semper / "+c.peer
			}
			if c.peer == contender.Semper {
				against = "semper / semper with no release on trial"
				if c.of == moreRow {
					against += ", and a fifth more requests"
				}
			}
			if len(measured) == 0 {
				continue
			}
			s := spreadOf(measured)
			v := verdict{Row: r.what, Claim: against, Measured: s, Target: fmt.Sprintf("≤ %g", c.limit), Reached: s.Median <= c.limit}
			if c.least {
				v.Target, v.Reached = fmt.Sprintf("≥ %g", c.limit), s.Median >= c.limit
			}
			found = append(found, v)
		}
	}
	return found
}

// number is a spread with so many digits behind the point.
func number(s spread, digits int) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	sure := ""
	if s.Low != s.High {
		sure = fmt.Sprintf(" [%.*f–%.*f]", digits, s.Low, digits, s.High)
	}
	return fmt.Sprintf("%.*f%s (%.*f–%.*f)", digits, s.Median, sure, digits, s.Min, digits, s.Max)
}
