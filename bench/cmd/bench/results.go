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

// A figure is one claim and what was measured of it.
type figure struct {
	Claim    string `json:"claim"`
	Target   string `json:"target"`
	Measured string `json:"measured"`
	Verdict  string `json:"verdict"` // "holds", "does not hold", "" where there is no target
	Command  string `json:"command"`
	Detail   any    `json:"detail,omitempty"`
}

func holds(ok bool) string {
	if ok {
		return "holds"
	}
	return "**does not hold**"
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// A machine is where a run was made.
type machine struct {
	Date   string `json:"date"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	Go     string `json:"go"`
	Semper string `json:"semper"`
	Flags  string `json:"flags"`
}

func (b *bench) machine(ctx context.Context) machine {
	version, err := b.server.Run(ctx, "version")
	if err != nil {
		version = []byte("unknown: " + err.Error())
	}
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--tags").Output()
	if err != nil {
		commit = []byte("no commit")
	}
	first, _, _ := strings.Cut(string(version), "\n")
	return machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 MST"), CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Memory: field("/proc/meminfo", "MemTotal"), Kernel: text("/proc/sys/kernel/osrelease"), OS: strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`),
		Go: runtime.Version(), Semper: first + ", commit " + strings.TrimSpace(string(commit)),
		Flags: fmt.Sprintf("-deploys %d -kills %d -samples %d -think %v -quiet %v -gap %v", b.deploys, b.kills, b.samples, b.think, b.quiet, b.gap),
	}
}

func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// field is the value of the first "name: value" or "name=value" of a file.
func field(path, name string) string {
	for line := range strings.SplitSeq(text(path), "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimLeft(rest, " \t:=")
		}
	}
	return "unknown"
}

func pause(think time.Duration) string {
	if think == 0 {
		return "the next request as soon as the answer is there, so the machine is saturated"
	}
	return think.String() + " between an answer and the next request"
}

// elsewhere says where the figures are that other commands measure, and what of peers stands beside them.
const elsewhere = `
## Figures of single parts, beside their peers

| | beside | command | figures |
|---|---|---|---|
| the edge | nginx, HAProxy, Caddy, httputil.ReverseProxy | ` + "`make bench-proxy`" + ` | [bench/proxy](proxy/RESULTS.md) |
| how late its answers are at a quarter, half and three quarters of what the slowest peer can do | the same | ` + "`go run ./bench/proxy -only openloop -rounds 4 -out bench/proxy/latency`" + ` | [bench/proxy/latency](proxy/latency/RESULTS.md) |
| the judge: requests until a release is found worse, false returns, what judging costs | Argo Rollouts (rollouts of 15 to 20 minutes), Flagger (10 minutes until it goes back, 25 until it is promoted), Kayenta (50 points of each metric or more): as they document it | ` + "`go run ./bench/judge`" + ` | [bench/judge](judge/RESULTS.md) |
| what a release on trial costs the edge: splits by request and by user, copies | itself without | ` + "`go run ./bench/proxy -only judge -out bench/judge/edge`" + ` | [bench/judge/edge](judge/edge/RESULTS.md) |
| the queue | etcd's own puts, RabbitMQ | ` + "`go run ./bench/queue -write`" + ` | [bench/queue](queue/RESULTS.md) |
| what is left of requests for later when 500 processes are killed under load | | ` + "`make kills`" + ` | [bench/kills](kills/RESULTS.md) |
| requests that are held | | ` + "`make bench-hold`" + ` | [bench/hold](hold/RESULTS.md) |
| actors and supervisors | Erlang/OTP | ` + "`go run ./bench/actors`" + ` | [bench/actors](actors/RESULTS.md) |
| clients that pause between requests | | | [bench/paced](paced/RESULTS.md) |
`

// write leaves the results as JSON and as a page.
func (b *bench) write(ctx context.Context, all []figure) error {
	if len(all) == 0 {
		return nil
	}
	m := b.machine(ctx)
	j, err := json.MarshalIndent(struct {
		Machine machine  `json:"machine"`
		Figures []figure `json:"figures"`
	}{m, all}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, "results.json"), append(j, '\n'), 0o644); err != nil {
		return err
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "# What semper claims, measured\n\nWritten by `make bench`; the raw numbers are in `results.json`. Every figure can be had again with the command in its row.\n\n")
	fmt.Fprintf(&page, "| | |\n|---|---|\n| run | %s |\n| semper | %s |\n| machine | %s, %d cores, %s |\n| system | %s, Linux %s, %s |\n| flags | `%s` |\n\n",
		m.Date, m.Semper, m.CPU, m.Cores, m.Memory, m.OS, m.Kernel, m.Go, m.Flags)
	fmt.Fprintf(&page, "The load generator, the app and semper share this machine. The load is 64 kept connections in closed loops (%s), "+
		"20 new connections a second, 8 requests of 2 seconds in hand all the time, and 20 WebSockets. A request has failed when it was refused, reset, cut, answered with a status "+
		"other than 200, mixed from two releases, or answered by the old release after the acknowledged cutover.\n\n", pause(b.think))
	fmt.Fprintln(&page, "| claim | target | measured | verdict | command |\n|---|---|---|---|---|")
	for _, f := range all {
		fmt.Fprintf(&page, "| %s | %s | %s | %s | `%s` |\n", f.Claim, f.Target, f.Measured, f.Verdict, f.Command)
	}
	fmt.Fprint(&page, elsewhere)
	return os.WriteFile(filepath.Join(b.out, "RESULTS.md"), page.Bytes(), 0o644)
}
