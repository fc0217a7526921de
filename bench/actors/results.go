package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A row compares one figure of both sides. The ratio is that of actor to Erlang, or, of a row with a base, that of
// actor to its own base: what a figure grows by.
type row struct {
	what  string
	unit  string
	otp   string
	actor string
	plain string // a goroutine and a channel
	base  string
	limit float64 // zero: told, not claimed
}

var rows = []row{
	{what: "call round trip: `gen_server:call`, infinity / `actor.Call`, Background", unit: "ns", otp: "call", actor: "call", plain: "plain_call", limit: 0.5},
	{what: "the same, each with a deadline of its own (5 s)", unit: "ns", otp: "call_deadline", actor: "call_deadline", limit: 0.5},
	{what: "the same, under one deadline / `gen_server:call`, 5 s", unit: "ns", otp: "call_deadline", actor: "call_shared"},
	{what: "call by a process, in its callback / `gen_server:call`, infinity", unit: "ns", otp: "call", actor: "call_process", limit: 0.5},
	{what: "cast, one sender, until all are handled", unit: "ns", otp: "cast", actor: "cast", plain: "plain_cast", limit: 0.5},
	{what: "the same / `!` to a bare process", unit: "ns", otp: "send", actor: "cast"},
	{what: "start a server and get its acknowledgement", unit: "ns", otp: "start", actor: "start", plain: "plain_start", limit: 0.7},
	{what: "the same, linked", unit: "ns", otp: "start_link", actor: "start_link", limit: 0.7},
	{what: "supervised start: `supervisor:start_child`, simple_one_for_one / `Dynamic.StartChild`", unit: "ns", otp: "start_child", actor: "start_child", limit: 0.7},
	{what: "idle process, of 100,000, after a message", unit: "bytes", otp: "idle", actor: "idle", plain: "plain_idle", limit: 0.4},
	{what: "the same / `process_info(P, memory)`", unit: "bytes", otp: "idle_info", actor: "idle", limit: 0.4},
	{what: "the same / hibernated gen_server", unit: "bytes", otp: "idle_hibernated", actor: "idle"},
	{what: "idle process under a dynamic supervisor, its part of that included", unit: "bytes", otp: "idle_supervised", actor: "idle_supervised", limit: 0.4},
	{what: "killed → restarted and has answered a call", unit: "ns", otp: "restart_killed", actor: "restart_killed", limit: 0.5},
	{what: "crashed → restarted and has answered a call", unit: "ns", otp: "restart_crashed", actor: "restart_crashed", limit: 0.5},
	{what: "the same, with the crash reports that both make by default, into /dev/null", unit: "ns", otp: "restart_reported", actor: "restart_reported", limit: 0.5},
	{what: "ring of 1,000, per hop / bare processes", unit: "ns", otp: "ring_raw", actor: "ring", plain: "plain_ring", limit: 0.7},
	{what: "the same / gen_servers", unit: "ns", otp: "ring", actor: "ring", limit: 0.7},
	{what: "10,000 senders into one mailbox, per message", unit: "ns", otp: "fanin", actor: "fanin", plain: "plain_fanin", limit: 0.7},
	{what: "the same / bare process that receives `!`", unit: "ns", otp: "fanin_raw", actor: "fanin"},
	{what: "1,000,000 timers within 1 s, until all are delivered (1 s of it is the last timer)", unit: "ns", otp: "timers", actor: "timers", limit: 0.7},
	{what: "the same, CPU time", unit: "ns", otp: "timers_cpu", actor: "timers_cpu", limit: 0.7},
	{what: "call beside 1,000,000 idle processes", unit: "ns", otp: "call_many", actor: "call_many", base: "call_alone", limit: 1.15},
	{what: "cast beside 1,000,000 idle processes", unit: "ns", otp: "cast_many", actor: "cast_many", base: "cast_alone", limit: 1.15},
	{what: "call beside 1,000,000 messages in another's mailbox", unit: "ns", otp: "call_backlog", actor: "call_backlog", base: "call_alone", limit: 1.15},
	{what: "cast beside 1,000,000 messages in another's mailbox", unit: "ns", otp: "cast_backlog", actor: "cast_backlog", base: "cast_alone", limit: 1.15},
	{what: "100,000 children of a dynamic supervisor, start and stop, per child", unit: "ns", otp: "dynamic_many", actor: "dynamic_many", limit: 0.7},
	{what: "the same, beside 10,000 children: is it linear?", unit: "ns", otp: "dynamic_many", actor: "dynamic_many", base: "dynamic_few", limit: 1.25},
	{what: "1,000,000 idle processes: started and each called once", unit: "ns", otp: "million_time", actor: "million_time", limit: 0.7},
	{what: "1,000,000 idle processes: memory", unit: "bytes", otp: "million_bytes", actor: "million_bytes", limit: 0.4},
	{what: "1,000,000 idle processes: resident memory, garbage included", unit: "bytes", otp: "million_rss", actor: "million_rss"},
}

// A spread is a figure over the rounds.
type spread struct{ Median, Min, Max float64 }

func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(v))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (s[len(s)/2-1] + m) / 2
	}
	return spread{m, s[0], s[len(s)-1]}
}

// A result is a row with its figures.
type result struct {
	What    string
	Unit    string
	OTP     spread
	Actor   spread
	Plain   *spread `json:",omitempty"`
	Ratio   spread
	Growth  bool    // the ratio is to a base of the same side
	OTPGrew *spread `json:",omitempty"`
	Limit   float64 `json:",omitempty"`
	Reached *bool   `json:",omitempty"`
}

// compare makes the results of the rows that were measured.
func compare(otp, here samples) []result {
	var all []result
	for _, r := range rows {
		a, o := here[r.actor], otp[r.otp]
		if len(a) == 0 || len(o) == 0 {
			continue
		}
		c := result{What: r.what, Unit: r.unit, OTP: spreadOf(o), Actor: spreadOf(a), Limit: r.limit}
		if p := here[r.plain]; len(p) > 0 {
			s := spreadOf(p)
			c.Plain = &s
		}
		if r.base != "" {
			grew := spreadOf(ratios(o, otp[r.base]))
			c.Growth, c.OTPGrew, c.Ratio = true, &grew, spreadOf(ratios(a, here[r.base]))
		} else {
			c.Ratio = spreadOf(ratios(a, o))
		}
		if r.limit > 0 {
			reached := c.Ratio.Median <= r.limit
			c.Reached = &reached
		}
		all = append(all, c)
	}
	return all
}

// ratios are those of the same rounds.
func ratios(of, to []float64) []float64 {
	var all []float64
	for i := range min(len(of), len(to)) {
		all = append(all, of[i]/to[i])
	}
	return all
}

// A machine is where a run was made.
type machine struct {
	Date, CPU, System, Go, Erlang, Commit, Load string
	Cores, Schedulers, Rounds, Divisor          int
}

func machineOf(ctx context.Context, o options) machine {
	first := func(path, prefix string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			return "unknown"
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.Trim(rest, " \t:=\"\n")
			}
		}
		return "unknown"
	}
	command := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	const version = `io:format("OTP ~s, erts ~s, ~s", [erlang:system_info(otp_release), erlang:system_info(version), erlang:system_info(emu_flavor)]), halt().`
	return machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 MST"), CPU: first("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		System: first("/etc/os-release", "PRETTY_NAME") + ", Linux " + first("/proc/sys/kernel/osrelease", ""), Go: runtime.Version(),
		Erlang: command("erl", "-noshell", "-noinput", "-eval", version), Commit: command("git", "describe", "--always", "--dirty", "--tags"),
		Load: first("/proc/loadavg", ""), Schedulers: runtime.GOMAXPROCS(0), Rounds: o.rounds, Divisor: o.divisor,
	}
}

// write leaves the results as JSON and as a page, or shows the page where no place is given for it.
func write(ctx context.Context, o options, otp, here samples) error {
	m, all := machineOf(ctx, o), compare(otp, here)
	if o.out == "" {
		_, err := os.Stdout.Write(page(m, all))
		return err
	}
	j, err := json.MarshalIndent(struct {
		Machine     machine
		Results     []result
		OTP, Actors samples
	}{m, all, otp, here}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "results.json"), append(j, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "RESULTS.md"), page(m, all), 0o644)
}

const essay = `Each group of figures is measured by turns, a new Erlang virtual machine and a new Go program for each round. Both get
as many schedulers as there are cores, warm up, and pay for their garbage collection as they go. Figures are medians, with the least and the
most of the rounds behind them. The ratio is made within each round; its median counts. "grows" is what a figure is of the same one without
the company, on the same side: that must stay at 1, and the target leaves room for noise.

Messages on the Go side are of an interface type with a struct for each kind, as the package doc has it, so that most cost an allocation;
otp.erl has the same as tuples. Crash reports are off on both sides, by the level of the logger and by a nil Reporter, except in the row
that says otherwise. The callers of calls are a process in Erlang and a goroutine in Go, except in the row that says
otherwise. Memory is erlang:memory(processes), and heap and stacks in use after a collection in Go. The last column is a goroutine and a channel,
which have no end that others see, no names, no links, and end the program when they panic.

`

func page(m machine, all []result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# actor and supervise beside Erlang/OTP\n\nWritten by `go run ./bench/actors`; the numbers of every round are in `results.json`.\n\n| | |\n|---|---|\n")
	fmt.Fprintf(&b, "| run | %s, commit %s |\n| machine | %s, %d cores, %s; load average at the end %s |\n", m.Date, m.Commit, m.CPU, m.Cores, m.System, m.Load)
	fmt.Fprintf(&b, "| Erlang | %s, +S %d:%d |\n| Go | %s, GOMAXPROCS %d |\n", m.Erlang, m.Schedulers, m.Schedulers, m.Go, m.Schedulers)
	fmt.Fprintf(&b, "| rounds | %d, by turns; counts divided by %d |\n\n%s", m.Rounds, m.Divisor, essay)
	fmt.Fprintln(&b, "| figure | Erlang/OTP | actor | ratio | target | reached | goroutine + channel |\n|---|---|---|---|---|---|---|")
	for _, r := range all {
		ratio, target, reached, plain := number(r.Ratio, ""), "", "", ""
		if r.Growth {
			ratio = "grows " + ratio + "; Erlang " + number(*r.OTPGrew, "")
		}
		if r.Reached != nil {
			target, reached = fmt.Sprintf("≤ %g", r.Limit), map[bool]string{true: "yes", false: "**no**"}[*r.Reached]
		}
		if r.Plain != nil {
			plain = number(*r.Plain, r.Unit)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.What, number(r.OTP, r.Unit), number(r.Actor, r.Unit), ratio, target, reached, plain)
	}
	return b.Bytes()
}

// number is a spread in a unit that suits its size.
func number(s spread, unit string) string {
	by, digits := 1.0, 0
	switch {
	case unit == "":
		digits = 2
	case unit == "ns" && s.Median >= 1e7:
		by, unit = 1e6, "ms"
	case unit == "ns" && s.Median >= 1e4:
		by, unit, digits = 1e3, "µs", 1
	case unit == "bytes" && s.Median >= 1e6:
		by, unit = 1e6, "MB"
	}
	f := func(v float64) string { return fmt.Sprintf("%.*f", digits, v/by) }
	return strings.TrimSpace(fmt.Sprintf("%s %s", f(s.Median), unit)) + fmt.Sprintf(" (%s–%s)", f(s.Min), f(s.Max))
}
