package web

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// rates are requests accepted per second, by release.
type rates map[semper.ReleaseName]float64

// A rateMeter turns counters into rates. It belongs to one stream.
type rateMeter struct {
	at   time.Time
	last map[semper.EnvironmentKey]map[semper.ReleaseName]semper.Ledger
	now  map[semper.EnvironmentKey]rates
}

// read is the rate since the reading before, nil at the first. Readings closer than half a look give
// the rate before again: over so short a time it would jump.
func (m *rateMeter) read(at time.Time, envs []api.Status) map[semper.EnvironmentKey]rates {
	past := at.Sub(m.at)
	if m.last != nil && past < lookEvery/2 {
		return m.now
	}
	counters := make(map[semper.EnvironmentKey]map[semper.ReleaseName]semper.Ledger, len(envs))
	now := make(map[semper.EnvironmentKey]rates, len(envs))
	for _, s := range envs {
		key := keyOf(s)
		counters[key] = s.Ledger
		before, known := m.last[key]
		if !known {
			continue
		}
		now[key] = rates{}
		for name, l := range s.Ledger {
			// An edge that died takes its unread counters with it; a rate is never negative.
			more := max(int64(l.Accepted-before[name].Accepted), 0) //nolint:gosec // wraps on purpose
			now[key][name] = round3(float64(more) / past.Seconds())
		}
	}
	if m.last != nil {
		m.now = now
	}
	m.at, m.last = at, counters
	return m.now
}

func keyOf(s api.Status) semper.EnvironmentKey {
	return semper.Environment{App: s.App, Name: s.Environment}.Key()
}

// round3 keeps three digits.
func round3(f float64) float64 {
	if f <= 0 {
		return 0
	}
	exp := math.Floor(math.Log10(f)) - 2
	if exp < 0 { // to divide by a whole number gives the nearest there is, to multiply by a part of one does not
		unit := math.Pow(10, -exp)
		return math.Round(f*unit) / unit
	}
	unit := math.Pow(10, exp)
	return math.Round(f/unit) * unit
}

// shownReleases is how many releases the traffic table names; the older ones are one row.
const shownReleases = 8

// trafficRow is a release's ledger as a line of the table and a bar.
type trafficRow struct {
	Release  semper.ReleaseName // empty: all the older ones
	Role     string             // "current", "candidate", "warm", ""
	L        semper.Ledger
	InFlight uint64
	Rate     string // requests per second now; "" while unknown
	Bar      []segment
}

// A segment is a part of a bar, in thousandths of its width.
type segment struct {
	Class, Label string
	X, W         float64
}

// trafficView is the ledger of an environment, drawn.
type trafficView struct {
	Rows   []trafficRow // newest first
	Shares []trafficRow // who gets requests now, with the one segment each has of the common bar
	Total  semper.Ledger
	Lost   uint64
	Known  bool // whether rates are known
	Rate   string
}

func trafficOf(s api.Status, r rates) trafficView {
	v := trafficView{Known: r != nil}
	names := make([]semper.ReleaseName, 0, len(s.Ledger))
	most, sum := uint64(1), 0.0
	for name, l := range s.Ledger {
		names = append(names, name)
		v.Total = v.Total.Add(l)
		most, sum = max(most, l.Accepted), sum+r[name]
	}
	slices.SortFunc(names, func(a, b semper.ReleaseName) int { return cmp.Compare(b.Number(), a.Number()) })
	v.Lost = lost(v.Total)
	if v.Known {
		v.Rate = perSecond(sum)
	}
	var older semper.Ledger
	x := 0.0
	for i, name := range names {
		if i >= shownReleases && roleOf(s, name) == "" {
			older = older.Add(s.Ledger[name])
			continue
		}
		row := rowOf(name, roleOf(s, name), s.Ledger[name])
		if v.Known {
			row.Rate = perSecond(r[name])
		}
		if share := r[name]; share > 0 {
			w := share / sum * 1000
			v.Shares = append(v.Shares, trafficRow{Release: name, Role: row.Role, Rate: row.Rate, Bar: []segment{{Label: percent(share / sum), X: coord(x), W: coord(w)}}})
			x += w
		}
		v.Rows = append(v.Rows, row)
	}
	if older.Accepted > 0 {
		most = max(most, older.Accepted)
		v.Rows = append(v.Rows, rowOf("", "", older))
	}
	for i := range v.Rows {
		v.Rows[i].Bar = barOf(v.Rows[i], most)
	}
	return v
}

func rowOf(name semper.ReleaseName, role string, l semper.Ledger) trafficRow {
	row := trafficRow{Release: name, Role: role, L: l}
	if ended := l.Served + l.AppErrors + l.EdgeErrors + l.Shed + l.Cut + l.Gone; l.Accepted > ended {
		row.InFlight = l.Accepted - ended
	}
	return row
}

// lost are the requests semper did not get served: what law L4 is about.
func lost(l semper.Ledger) uint64 { return l.EdgeErrors + l.Shed + l.Cut }

// roleOf is what a release is to the environment now.
func roleOf(s api.Status, name semper.ReleaseName) string {
	switch {
	case name == s.Release:
		return "current"
	case s.Rollout != nil && !s.Rollout.State.Ended() && name == s.Rollout.To:
		return "candidate"
	case name == s.Previous && s.Warm:
		return "warm"
	case name == s.Previous:
		return "previous"
	}
	return ""
}

// visible is the least width of a segment: one lost request among a million must be seen.
const visible = 6

// barOf cuts a row's bar into its segments; most is the count the whole width stands for.
func barOf(row trafficRow, most uint64) []segment {
	parts := []struct {
		class, label string
		n            uint64
	}{
		{"ok", "served", row.L.Served},
		{"flight", "in flight", row.InFlight},
		{"gone", "client left", row.L.Gone},
		{"app", "app errors", row.L.AppErrors},
		{"lost", "edge errors", row.L.EdgeErrors},
		{"lost", "shed", row.L.Shed},
		{"lost", "cut", row.L.Cut},
	}
	var out []segment
	x := 0.0
	for _, p := range parts {
		if p.n == 0 {
			continue
		}
		w := max(float64(p.n)/float64(most)*1000, visible)
		out = append(out, segment{Class: p.class, Label: p.label, X: x, W: w})
		x += w
	}
	scale := 1.0
	if x > 1000 {
		scale = 1000 / x
	}
	for i := range out {
		out[i].X, out[i].W = coord(out[i].X*scale), coord(out[i].W*scale)
	}
	return out
}

// coord is precise enough to draw and coarse enough to stay the same while nothing visible changes.
func coord(f float64) float64 { return math.Round(f*10) / 10 }

func perSecond(f float64) string {
	f = round3(f)
	if f >= 1000 {
		return num(uint64(f)) + "/s"
	}
	return strconv.FormatFloat(f, 'f', -1, 64) + "/s"
}

// millis is a latency in milliseconds, to three digits.
func millis(seconds float64) string {
	if seconds <= 0 {
		return "–"
	}
	return strconv.FormatFloat(round3(seconds*1000), 'f', -1, 64) + " ms"
}

// partOf is a part of a row's requests, "–" where there were none.
func partOf(n uint64, s api.TrafficStatuses) string {
	if s.Total() == 0 {
		return "–"
	}
	return percent(float64(n) / float64(s.Total()))
}

func percent(f float64) string {
	switch p := math.Round(f * 100); {
	case p == 0 && f > 0:
		return "under 1 %"
	case p == 100 && f < 1:
		return "over 99 %"
	default:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	}
}

// leadsTo is where the requests of r go, in words.
func leadsTo(r semper.RouteRule) string {
	var said struct {
		Split map[string]json.Number `json:"split"`
	}
	if err := json.Unmarshal(r.Policy, &said); err != nil || len(said.Split) == 0 { // nothing is said, or by a newer semper
		return cmp.Or(r.To, "answered here")
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(said.Split)) {
		parts = append(parts, name+" "+said.Split[name].String())
	}
	return strings.Join(parts, " : ")
}
