// Command proxy measures semper's edge beside nginx, HAProxy, Caddy and httputil.ReverseProxy, and writes bench/proxy/RESULTS.md and
// results.json.
//
//	go run ./bench/proxy                everything, five rounds; wants 45 minutes of a machine that does nothing else
//	go run ./bench/proxy -short         the same with short runs, to the terminal only
//	go run ./bench/proxy -only cpu,tls  some groups, to the terminal only
//	go run ./bench/proxy -gate          whether semper's processor time per request is within the agreed ratio of nginx's
//
// The proxy that is measured has one core for itself. The backend, the load and this command share another. So what a proxy can do is
// not told by how many requests came through, which the other core may bound, but by the processor time that it used for each, as the kernel accounts it.
// Contenders take turns, in an order that moves on each round, so that whatever slows the machine for a while slows all; a ratio is made within
// a round, and the median of the rounds is told.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"semper/bench/proxy/contender"
)

type options struct {
	semper, out, only, against string
	rounds, held, deploys      int
	short, log, keep, gate     bool
	limit                      float64
	run                        time.Duration
}

func flags() options {
	var o options
	flag.StringVar(&o.semper, "semper", "bin/semper", "the binary to measure")
	flag.StringVar(&o.out, "out", "", "directory for RESULTS.md and results.json; empty: bench/proxy after a whole run, else none")
	flag.StringVar(&o.only, "only", "", "comma-separated groups: "+strings.Join(groupNames(), ", ")+"; empty: all")
	flag.StringVar(&o.against, "contenders", "", "comma-separated contenders; empty: all that are here")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds a median is taken of")
	flag.IntVar(&o.held, "held", 10_000, "idle connections")
	flag.IntVar(&o.deploys, "deploys", 100, "deploys under load")
	flag.BoolVar(&o.short, "short", false, "runs of one second, two rounds, a tenth of the idle connections and deploys")
	flag.BoolVar(&o.log, "log", false, "an access log for everybody; else for nobody")
	flag.BoolVar(&o.keep, "keep", false, "keep configurations, logs and certificates")
	flag.BoolVar(&o.gate, "gate", false, "only compare with nginx, and fail above -limit")
	flag.Float64Var(&o.limit, "limit", gateLimit, "of -gate: semper's processor time per request, as a ratio of nginx's")
	flag.Parse()
	o.run = 3 * time.Second
	if o.short {
		o.run, o.held, o.deploys = time.Second, o.held/10, o.deploys/10
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rounds" })
		if !given {
			o.rounds = 2
		}
	}
	return o
}

func main() {
	o := flags()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		stop()
		os.Exit(1)
	}
}

// say tells the person who waits what is going on.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func run(ctx context.Context, o options) (err error) {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if o.gate {
		chosen = []group{{name: "gate", needs: []string{"wrk"}}}
	}
	if err := needed(chosen); err != nil {
		return err
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	if o.gate {
		return b.judge(ctx)
	}
	for _, g := range chosen {
		say("%s …", g.name)
		if err := g.measure(ctx, b); err != nil { // the other groups are worth as much without it
			b.problem("%s: %v", g.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if o.only == "" && o.out == "" && !o.short {
		b.out = filepath.Join("bench", "proxy")
	}
	if err := b.write(ctx); err != nil {
		return err
	}
	if len(b.problems) > 0 {
		return fmt.Errorf("%d parts could not be measured: see above", len(b.problems))
	}
	return nil
}

// A group is some rows that are measured together.
type group struct {
	name    string
	needs   []string // programs
	measure func(context.Context, *bench) error
}

func groups() []group {
	return []group{
		{"cpu", []string{"wrk"}, cpu},
		{"openloop", []string{"wrk"}, openLoop},
		{"tls", []string{"wrk", "h2load"}, overTLS},
		{"bodies", []string{"wrk"}, bodies},
		{"idle", []string{"wrk"}, idle},
		{"judge", []string{"wrk"}, judging},
		{"deploys", nil, deploys},
		{"allocs", nil, allocations},
	}
}

func groupNames() []string {
	var all []string
	for _, g := range groups() {
		all = append(all, g.name)
	}
	return all
}

// choose finds the groups of a list; an empty one is all.
func choose(list string) ([]group, error) {
	all := groups()
	if list == "" {
		return all, nil
	}
	var chosen []group
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(g group) bool { return g.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no group %q: there are %s", name, strings.Join(groupNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// packages has what Debian calls the programs that no group can do without.
var packages = map[string]string{"wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux"}

// needed is an error that lists everything that is missing at once.
func needed(chosen []group) error {
	names := []string{"taskset"}
	for _, g := range chosen {
		names = append(names, g.needs...)
	}
	slices.Sort(names)
	var missing []string
	for _, name := range slices.Compact(names) {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, packages[name])
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs are missing: apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// find looks for the contenders. Which are not here are left out, with the reason.
func find(ctx context.Context, o options, reverse string) (here []contender.Contender, left []string, err error) {
	all := contender.All(contender.Programs{Semper: o.semper, Reverse: reverse})
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	wanted := names
	switch {
	case o.gate:
		wanted = []string{contender.Semper, contender.Nginx}
	case o.against != "":
		wanted = strings.Split(o.against, ",")
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("no contender %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	for _, c := range all {
		if !slices.Contains(wanted, c.Name) {
			continue
		}
		err := c.Find(ctx)
		if missing := (*contender.Missing)(nil); errors.As(err, &missing) {
			say("%s is left out: %s", c.Name, missing.How)
			left = append(left, c.Name+": "+missing.How)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		here = append(here, c)
	}
	return here, left, nil
}
