package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/bench/proxy/contender"
	"semper/bench/proxy/generate"
	"semper/bench/proxy/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChoose(t *testing.T) {
	t.Parallel()
	if all, err := choose(""); err != nil || len(all) != len(groups()) {
		t.Errorf("%d groups of nothing, %v: want all", len(all), err)
	}
	some, err := choose("tls,cpu")
	if err != nil || len(some) != 2 || some[0].name != "tls" || some[1].name != "cpu" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := choose("cpu,gpu"); err == nil || !strings.Contains(err.Error(), "openloop") {
		t.Errorf("%v, want an error that says what there is", err)
	}
}

func TestNeededNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, g := range groups() {
		for _, name := range g.needs {
			if packages[name] == "" {
				t.Errorf("%s needs %s, and nobody knows its package", g.name, name)
			}
		}
	}
	err := needed([]group{{needs: []string{"no-such-a"}}, {needs: []string{"no-such-b", "no-such-a"}}})
	if err == nil || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v, want how to get it", err)
	}
}

// TestEveryRowIsMeasured holds rows against what the groups record under.
func TestEveryRowIsMeasured(t *testing.T) {
	t.Parallel()
	names := []string{}
	for _, c := range contender.All(contender.Programs{}) {
		names = append(names, c.Name)
	}
	keys := map[string]bool{}
	for _, r := range rows() {
		if keys[r.key] {
			t.Errorf("%s is there twice", r.key)
		}
		keys[r.key] = true
		group, _, _ := strings.Cut(r.key, "/")
		if !slices.Contains(groupNames(), group) {
			t.Errorf("%s is of no group", r.key)
		}
	}
	for _, r := range rows() {
		for _, c := range r.claims {
			if c.of != "" && !keys[c.of] {
				t.Errorf("%s is compared with %s, which is no row", r.key, c.of)
			}
			if c.peer != "" && !slices.Contains(names, c.peer) {
				t.Errorf("%s is compared with %s, which is no contender", r.key, c.peer)
			}
		}
	}
	for _, n := range connections {
		for _, network := range []string{"tcp", "unix"} {
			if !keys[cpuRow(network, n)] {
				t.Errorf("%s is measured and not told", cpuRow(network, n))
			}
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		of   []float64
		want spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{Median: 3, Min: 3, Max: 3}},
		{[]float64{9, 1, 2}, spread{Median: 2, Min: 1, Max: 9}},
		{[]float64{4, 1, 2, 3}, spread{Median: 2.5, Min: 1, Max: 4}},
		{hundred, spread{Median: 50.5, Min: 1, Max: 100, Low: 40, High: 61}}, // as tables of the sign test have it
	} {
		if got := spreadOf(c.of); got != c.want {
			t.Errorf("of %v: %+v, want %+v", c.of, got, c.want)
		}
	}
	if got := number(spread{Median: 2, Min: 1, Max: 9}, 1); got != "2.0 (1.0–9.0)" {
		t.Error(got)
	}
	if got := number(spread{Median: 2, Min: 2, Max: 2}, 0); got != "2" {
		t.Error(got)
	}
	if got := number(spread{Median: 2, Min: 1, Max: 9, Low: 1.5, High: 3}, 1); got != "2.0 [1.5–3.0] (1.0–9.0)" {
		t.Error(got)
	}
}

// cpuReadings has semper at these values, and nginx at 10, 20, 40 for the same rounds, in another order.
func cpuReadings(row string, semper ...float64) []reading {
	all := []reading{{Row: cpuRow("tcp", 64), Contender: contender.Nginx, Round: 2, Value: 40}}
	for i, v := range semper {
		all = append(all, reading{Row: row, Contender: contender.Semper, Round: i, Value: v})
		if i < 2 {
			all = append(all, reading{Row: cpuRow("tcp", 64), Contender: contender.Nginx, Round: i, Value: 10 * float64(i+1)})
		}
	}
	return all
}

func TestARatioIsOfItsRound(t *testing.T) {
	t.Parallel()
	row := cpuRow("tcp", 64)
	all := cpuReadings(row, 9, 20, 30, 1000)
	got := ratios(all, row, contender.Semper, row, contender.Nginx)
	if want := []float64{0.9, 1, 0.75}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v: the round that nginx does not have is in no ratio", got, want)
	}
}

func TestJudgements(t *testing.T) {
	t.Parallel()
	find := func(all []reading, target string) verdict {
		t.Helper()
		for _, v := range judgements(all) {
			if v.Claim == "semper / nginx" && v.Target == target {
				return v
			}
		}
		t.Fatalf("no claim %s in %+v", target, judgements(all))
		return verdict{}
	}
	row := cpuRow("tcp", 64)
	if v := find(cpuReadings(row, 9, 20, 30), "≤ 0.95"); !v.Reached || v.Measured.Median != 0.9 {
		t.Errorf("%+v, want 0.9, which reaches 0.95", v)
	}
	if v := find(cpuReadings(row, 10, 20, 30), "≤ 0.95"); v.Reached {
		t.Errorf("%+v, want 1, which does not reach 0.95", v)
	}
	if v := find(cpuReadings(cpuRow("unix", 64), 7, 14, 28), "≤ 0.75"); !v.Reached || v.Measured.Median != 0.7 {
		t.Errorf("%+v, want a unix socket against nginx's TCP", v)
	}
	down := []reading{{"bodies/down/64k", contender.Semper, 0, 90, nil}, {"bodies/down/64k", contender.Nginx, 0, 100, nil}}
	if v := find(down, "≥ 0.95"); v.Reached {
		t.Errorf("%+v, want that less is worse here", v)
	}
	idle := judgements([]reading{{"idle/connection", contender.Semper, 0, 3000, nil}})
	if len(idle) != 1 || !idle[0].Reached {
		t.Errorf("%+v, want the one claim that needs no peer, reached", idle)
	}
}

func TestPageShowsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	all := cpuReadings(cpuRow("tcp", 64), 9, 20, 30)
	m := machine{Go: "go1", Versions: map[string]string{contender.Nginx: "1.22"}, Others: 0.2}
	text := string(page(m, all, []string{"caddy: not\nhere"}))
	for _, want := range []string{
		"| figure | semper | nginx |", "| CPU per request, 64 connections, TCP instance, µs | 20.00 (9.00–30.00) | 20.00 (10.00–40.00) |",
		"| CPU per request, 64 connections, TCP instance | semper / nginx | ≤ 0.95 | 0.90 (0.75–1.00) | yes |", "nginx 1.22", "Not measured: caddy: not here", "**warning**",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "WebSocket,") {
		t.Error("a row without a figure is there")
	}
	m.Others = 0.01
	if strings.Contains(string(page(m, all, nil)), "**warning**") {
		t.Error("a quiet machine is warned about")
	}
}

func TestShareOfOthers(t *testing.T) {
	t.Parallel()
	others, stolen := share(10*time.Second, 2, 5*time.Second, 2*time.Second)
	if others != 0.25 || stolen != 0.1 {
		t.Errorf("%v and %v, want a quarter and a tenth of 20 seconds", others, stolen)
	}
	if others, stolen := share(0, 2, 0, 0); others != 0 || stolen != 0 {
		t.Error("something in no time")
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	c := cost{generate.Count{Requests: 1000, Bytes: 50e6, Elapsed: 2 * time.Second}, proc.CPU{Ran: 100 * time.Millisecond, User: 10 * time.Millisecond, System: 90 * time.Millisecond}, 0.1}
	if got := c.perRequest(); got != 100 {
		t.Errorf("%v µs per request, want 100", got)
	}
	if got := c.perSecond(); got != 500 {
		t.Errorf("%v MB per second, want 500", got)
	}
	d := c.detail(map[string]float64{"more": 1})
	if d["per_second"] != 500 || d["more"] != 1 || d["others"] != 0.1 || d["bytes"] != 50e6 {
		t.Errorf("%v", d)
	}
}

func TestParseDeploys(t *testing.T) {
	t.Parallel()
	const text = `{"figures": [{"claim": "x"}, {"claim": "failed requests in 100 deploys back and forth under load",
		"detail": {"failed": 0, "sections": {"quiet": {"p99_ms": 4}, "deploying": {"p99_ms": 5}}}}]}`
	failed, ratio, err := parseDeploys([]byte(text))
	if err != nil || failed != 0 || ratio != 1.25 {
		t.Errorf("%v failed, ratio %v, %v", failed, ratio, err)
	}
	for _, bad := range []string{"", "{}", strings.Replace(text, `"failed": 0, `, "", 1), strings.Replace(text, "quiet", "loud", 1)} {
		if _, _, err := parseDeploys([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseAllocations(t *testing.T) {
	t.Parallel()
	const line = hotPath + "/%s-2   \t  100000\t  1200 ns/op\t   0 B/op\t   %d allocs/op\n"
	text := fmt.Sprintf(line+line+line, "epoll", 0, "goroutine", 2, "goroutine", 1) + "BenchmarkOther/epoll-2 1 1 ns/op 9 allocs/op\n"
	got := parseAllocations(text)
	if len(got) != 2 || got[contender.Semper] != 0 || got[contender.Goroutine] != 2 {
		t.Errorf("%v, want 0 of epoll and the most of goroutine, 2", got)
	}
	if got := parseAllocations("ok  semper/edge 1.0s"); len(got) != 0 {
		t.Errorf("%v of nothing", got)
	}
}

// TestTheGateIsTheClaim keeps the constant and the table from telling two things.
func TestTheGateIsTheClaim(t *testing.T) {
	t.Parallel()
	for _, r := range rows() {
		for _, c := range r.claims {
			if r.key == cpuRow("tcp", 64) && c.peer == contender.Nginx && c.limit != gateLimit {
				t.Errorf("the gate is at %g, the claim at %g", gateLimit, c.limit)
			}
		}
	}
}
