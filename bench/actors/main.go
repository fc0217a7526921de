// Command actors measures actor and supervise beside Erlang/OTP, and writes bench/actors/RESULTS.md and results.json.
//
//	go run ./bench/actors             everything, five rounds
//	go run ./bench/actors -short      a tenth of the counts, two rounds, to the terminal only
//	go run ./bench/actors -only call  one group, to the terminal only
//
// Each group of figures is measured by turns: a new Erlang virtual machine, a new Go program, and again. So whatever
// slows the machine down for a while slows both. A ratio is made within a round, and the median of the rounds is told.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed otp.erl
var otpSource []byte

// order is that of the measurements, and of what can be asked for.
var order = []string{"call", "cast", "start", "idle", "crash", "ring", "fanin", "timers", "timerscpu", "growth", "dynamic", "million"}

type options struct {
	out, only, group, profile string
	rounds, divisor           int
}

func main() {
	var o options
	short := flag.Bool("short", false, "a tenth of the counts and two rounds")
	flag.StringVar(&o.out, "out", "", "directory for RESULTS.md and results.json; empty: bench/actors after a whole run, else none")
	flag.StringVar(&o.only, "only", "", "comma-separated groups: "+strings.Join(order, ", ")+"; empty: all")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds a median is taken of")
	flag.IntVar(&o.divisor, "divisor", 1, "divides all counts")
	flag.StringVar(&o.group, "go", "", "measure this group here, on the Go side only, and write its figures")
	flag.StringVar(&o.profile, "cpuprofile", "", "with -go: write a CPU profile")
	flag.Parse()
	if *short {
		o.rounds, o.divisor = 2, 10
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "actors:", err)
		cancel()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.rounds < 1 || o.divisor < 1 {
		return errors.New("-rounds and -divisor want a number above zero")
	}
	if o.group != "" {
		return o.here()
	}
	if o.out == "" && o.only == "" && o.divisor == 1 {
		o.out = "bench/actors"
	}
	chosen := order
	if o.only != "" {
		chosen = strings.Split(o.only, ",")
	}
	for _, g := range chosen {
		if !slices.Contains(order, g) {
			return fmt.Errorf("no group %q: there are %s", g, strings.Join(order, ", "))
		}
	}
	return o.beside(ctx, chosen)
}

// here is the Go side of one group.
func (o options) here() error {
	measure, ok := groups[o.group]
	if !ok {
		return fmt.Errorf("no group %q: there are %s", o.group, strings.Join(order, ", "))
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	f := figures{}
	measure(scale(o.divisor), f)
	for name, v := range f {
		fmt.Println(name, v)
	}
	return nil
}

// samples are the figures of all rounds by name.
type samples map[string][]float64

func (o options) beside(ctx context.Context, chosen []string) error {
	dir, err := os.MkdirTemp("", "semper-actors")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := compile(ctx, dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	otp, here := samples{}, samples{}
	divisor, cores := strconv.Itoa(o.divisor), strconv.Itoa(runtime.GOMAXPROCS(0))
	var problems error // a group that fails is left out and told of; the others are written all the same
	for _, group := range chosen {
		for round := range o.rounds {
			fmt.Fprintf(os.Stderr, "%s %s %d/%d\n", time.Now().Format(time.TimeOnly), group, round+1, o.rounds)
			args := []string{"-noshell", "-noinput", "+S", cores + ":" + cores, "+P", "4000000", "-pa", dir}
			if group == "timerscpu" { // a scheduler that spins for work would be counted as work
				args = append(args, "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
			}
			if err := otp.add(ctx, "erl", append(args, "-run", "otp", "main", group, divisor)...); err != nil {
				problems = errors.Join(problems, err)
				break
			}
			if err := here.add(ctx, self, "-go", group, "-divisor", divisor); err != nil {
				problems = errors.Join(problems, err)
				break
			}
		}
	}
	return errors.Join(problems, write(ctx, o, otp, here))
}

// compile leaves otp.beam in dir: native code by the virtual machine's JIT, where a script would be interpreted.
func compile(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("erlc"); err != nil {
		return errors.New("no Erlang/OTP to measure beside: apt-get install erlang-base")
	}
	source := filepath.Join(dir, "otp.erl")
	if err := os.WriteFile(source, otpSource, 0o600); err != nil {
		return err
	}
	if text, err := exec.CommandContext(ctx, "erlc", "-o", dir, source).CombinedOutput(); err != nil {
		return fmt.Errorf("compile otp.erl: %w\n%s", err, text)
	}
	return nil
}

// add runs one side of one group.
func (s samples) add(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var problems bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, problems.Bytes())
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		key, text, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s %s wrote %q, want a name and a number", name, strings.Join(args, " "), lines.Text())
		}
		s[key] = append(s[key], v)
	}
	return nil
}
