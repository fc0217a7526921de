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

	"semper/bench/proxy/contender"
)

// A machine is where and how a run was made.
type machine struct {
	Date, CPU, System, Go, Commit, Load, Flags string
	Cores, Rounds                              int
	Others, Stolen                             float64 // what other processes, and other virtual machines, had of it, as a share of all cores
	Versions                                   map[string]string
}

func (b *bench) machine(ctx context.Context) (machine, error) {
	others, stolen, err := b.noise.end()
	if err != nil {
		return machine{}, err
	}
	m := machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 MST"), CPU: first("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		System: first("/etc/os-release", "PRETTY_NAME") + ", Linux " + first("/proc/sys/kernel/osrelease", ""), Go: runtime.Version(),
		Commit: commit(ctx), Load: first("/proc/loadavg", ""), Rounds: b.rounds, Others: others, Stolen: stolen,
		Flags: fmt.Sprintf("-rounds %d -held %d -log=%v, runs of %v", b.rounds, b.held, b.log, b.run), Versions: map[string]string{},
	}
	for _, c := range b.contenders {
		m.Versions[c.Name] = c.Version
	}
	return m, nil
}

func first(path, prefix string) string {
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

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--tags").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// write shows the page, and leaves it and the readings in b.out where there is one.
func (b *bench) write(ctx context.Context) error {
	m, err := b.machine(ctx)
	if err != nil {
		return err
	}
	text := page(m, b.readings, slices.Concat(b.left, b.problems))
	if _, err := os.Stdout.Write(text); err != nil || b.out == "" {
		return err
	}
	j, err := json.MarshalIndent(struct {
		Machine  machine
		Verdicts []verdict
		Readings []reading
		Problems []string
	}{m, judgements(b.readings), b.readings, b.problems}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, "results.json"), append(j, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.out, "RESULTS.md"), text, 0o644)
}

const essay = `The proxy that is measured has one core. The backend (nginx, 128 bytes, kept connections; for uploads and WebSockets a Go program), the
load and the rig share another. CPU is user and system time of all processes of the proxy by requests answered, from /proc, so it does not matter which core is the slower.
Contenders take turns; a ratio is made within each round, and its median counts. In parentheses are the least and the most of the rounds;
in brackets, where there are many, what the median is between at 95 %, by the sign test.

All do the same work, which is checked before it is measured: HTTP/1.1 and HTTP/2 in, kept HTTP/1.1 connections out, X-Forwarded-For, -Proto and -Host set and
not believed, bodies streamed, one worker or loop. nginx keeps 512 connections to the instance, HAProxy reuses always. Semper counts into its metrics and ledger all the time.
The configurations are bench/proxy/contender; -keep leaves them for a look.

Latencies are of an open loop: requests are due on a timetable with independent gaps, the same for all, and a latency begins when the request was due, so that
a stall counts for everybody who would have come during it. Their turns are short and many, each a round of its own. The generator's own lateness is in results.json beside each figure. wrk makes the closed loops, h2load HTTP/2. New TLS
connections are without tickets, TLS 1.3, X25519 for all. Memory is the proportional set size of the processes of a proxy that
holds connections, and is set up for just so many, less that of one that holds none, and is set up for few; each connection has
had one exchange; what the kernel has for a socket is not in it.

What releases on trial cost is measured on one process (bench/proxy/trial), which is told another table between turns: the same instances, requests with the cookies
of 500 users, and a split, copies or neither. Turns are short, in an order that is drawn, and for 99th percentiles each is a round of its own. A copy is one more request to an instance, so what copies cost is told beyond as many requests more;
all instances are one backend here, which shares its core with the load, so that 99th percentiles are told beside as many requests more too.

`

// quiet is the share of the machine that others may have had while figures were made that are told. A system at rest has about one percent.
const quiet = 0.03

func page(m machine, all []reading, problems []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The edge beside other proxies\n\nWritten by `go run ./bench/proxy`; every reading is in `results.json`.\n\n| | |\n|---|---|\n")
	fmt.Fprintf(&b, "| run | %s, commit %s, %s |\n| machine | %s, %d cores, %s; load average at the end %s |\n", m.Date, m.Commit, m.Flags, m.CPU, m.Cores, m.System, m.Load)
	fmt.Fprintf(&b, "| noise | other processes had %.1f %% of the machine, other virtual machines %.1f %% |\n", 100*m.Others, 100*m.Stolen)
	if m.Others+m.Stolen > quiet {
		fmt.Fprintln(&b, "| **warning** | the machine was busy with other work: these figures are for a look, not to be told |")
	}
	fmt.Fprintf(&b, "| versions | Go %s", m.Go)
	names := contenders(all)
	for _, n := range names {
		if m.Versions[n] != "" {
			fmt.Fprintf(&b, ", %s %s", n, m.Versions[n])
		}
	}
	fmt.Fprintf(&b, " |\n\n%s| figure |", essay)
	for _, n := range names {
		fmt.Fprintf(&b, " %s |", n)
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(names)))
	for _, r := range rows() {
		line, any := "| "+r.what+unit(r.unit)+" |", false
		for _, n := range names {
			v := values(all, r.key, n)
			if len(v) == 0 {
				line += " |"
				continue
			}
			any = true
			line += " " + number(spreadOf(v), r.digits) + " |"
		}
		if any {
			fmt.Fprintln(&b, line)
		}
	}
	if found := judgements(all); len(found) > 0 {
		fmt.Fprintln(&b, "\n| what is claimed | of | target | measured | reached |\n|---|---|---|---|---|")
		for _, v := range found {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", v.Row, v.Claim, v.Target, number(v.Measured, 2), map[bool]string{true: "yes", false: "**no**"}[v.Reached])
		}
	}
	for _, p := range problems {
		fmt.Fprintf(&b, "\nNot measured: %s\n", strings.ReplaceAll(p, "\n", " "))
	}
	return b.Bytes()
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return ", " + u
}

// contenders that have a reading, semper's first.
func contenders(all []reading) []string {
	var names []string
	for _, c := range contender.All(contender.Programs{}) {
		if slices.ContainsFunc(all, func(r reading) bool { return r.Contender == c.Name }) {
			names = append(names, c.Name)
		}
	}
	return names
}
