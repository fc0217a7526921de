package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// The columns of traffic. Those from firstNumber on stand right; those from firstRare on are left out while all of them say
// nothing.
var trafficColumns = []string{"POOL", "ROUTE", "RELEASE", "req/s 1s", "10s", "60s", "in flight", "2xx", "4xx", "5xx", "p50", "p95", "p99", "retry", "held", "shed", "err"}

const (
	firstNumber = 3
	firstRare   = 13
)

// Traffic is what edges do now as lines: a release behind a route each, and while it is on trial an arm, pool by pool, newest
// release first. Shares, latencies and counts are of the last ten seconds.
func Traffic(t api.Traffic, p Paint) []string {
	out := silent(t, p)
	if len(t.Rows) == 0 {
		return append(out, "no requests in the last minute")
	}
	rows := slices.Clone(t.Rows)
	slices.SortStableFunc(rows, func(a, b api.TrafficRow) int {
		return cmp.Or(cmp.Compare(pool(a), pool(b)), cmp.Compare(a.Route, b.Route), cmp.Compare(b.Release.Number(), a.Release.Number()), cmp.Compare(a.Arm, b.Arm))
	})
	cells := [][]string{headings(p)}
	columns := firstRare
	for i := range rows {
		row := trafficCells(&rows[i], p)
		if i > 0 && pool(rows[i]) == pool(rows[i-1]) && rows[i].Route == rows[i-1].Route {
			row[0], row[1] = "", ""
		}
		if r := &rows[i]; r.Retries+r.Held+r.Shed+r.UpstreamErrors > 0 {
			columns = len(row)
		}
		cells = append(cells, row)
	}
	var g Grid
	for _, row := range rightFrom(cells, firstNumber) {
		g.Row(row[:columns]...)
	}
	var b strings.Builder
	g.Write(&b)
	return append(out, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")...)
}

func silent(t api.Traffic, p Paint) (out []string) {
	for _, id := range t.Silent {
		out = append(out, p.Warn("! ")+OneLine(id)+" does not answer: what it does is missing")
	}
	return out
}

func headings(p Paint) []string {
	out := make([]string, len(trafficColumns))
	for i, c := range trafficColumns {
		out[i] = p.Bold(c)
	}
	return out
}

// pool is the app and the service, and the environment where it is not the usual one.
func pool(r api.TrafficRow) string {
	switch {
	case r.App == "":
		return ""
	case r.Environment == semper.DefaultEnvironment:
		return r.App + "/" + r.Service
	}
	return r.App + "/" + r.Environment + "/" + r.Service
}

func trafficCells(r *api.TrafficRow, p Paint) []string {
	where, route := pool(*r), r.Route
	if where == "" {
		where, route = "-", "no route"
	}
	all := r.Status.Total()
	lost := func(s string, n uint64) string {
		if n > 0 {
			return p.Bad(s)
		}
		return s
	}
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return []string{
		OneLine(where), OneLine(route), OrDash(OneLine(strings.TrimSpace(string(r.Release) + " " + string(r.Arm)))),
		Rate(r.Rate1), Rate(r.Rate10), Rate(r.Rate60), strconv.FormatInt(r.InFlight, 10),
		share(r.Status.Success, all), share(r.Status.ClientError, all), lost(share(r.Status.ServerError, all), r.Status.ServerError),
		Latency(r.Latency.P50), Latency(r.Latency.P95), Latency(r.Latency.P99),
		count(r.Retries), count(r.Held), lost(count(r.Shed), r.Shed), lost(count(r.UpstreamErrors), r.UpstreamErrors),
	}
}

// rightFrom puts blanks before cells so that the columns from first on stand right.
func rightFrom(rows [][]string, first int) [][]string {
	for c := first; c < len(rows[0]); c++ {
		width := 0
		for _, r := range rows {
			width = max(width, seen(r[c]))
		}
		for _, r := range rows {
			r[c] = strings.Repeat(" ", width-seen(r[c])) + r[c]
		}
	}
	return rows
}

// Rate is requests per second for a person: "0.3", "61", "1,204".
func Rate(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 0.1:
		return "<0.1"
	case f < 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	s := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// share is a part of a whole. What is there is never shown as nothing, nor what is missing as all.
func share(n, all uint64) string {
	switch percent := 100 * float64(n) / float64(max(all, 1)); {
	case all == 0:
		return "-"
	case n > 0 && percent < 1:
		return "<1%"
	case n < all && percent > 99:
		return ">99%"
	default:
		return fmt.Sprintf("%.0f%%", percent)
	}
}

// Latency is seconds for a person: "340µs", "1.2ms", "11ms", "1.3s".
func Latency(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d <= 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
