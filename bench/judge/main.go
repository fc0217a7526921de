// Command judge measures how soon package verify convicts and how often it errs, and writes bench/judge/RESULTS.md.
//
//	go run ./bench/judge            counts only, which are no matter of the machine
//	go run ./bench/judge -cost      what a second of judging costs, which the next report tells
//	go run ./bench/judge -runs 200  fewer runs, to the terminal only
//	go run ./bench/judge -e2e 100   a hundred releases that are as good, through a real semper under load; with -semper FILE by that binary
//
// Seeds are fixed. Where others have a number of their own it stands beside, as their documentation has it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// defaultRuns are of each row; of those with nothing wrong there are 20 times as many.
const defaultRuns = 500

func main() {
	runs := flag.Int("runs", defaultRuns, "runs of each row")
	cost := flag.Bool("cost", false, "measure what a second of judging costs, and write it down")
	releases := flag.Int("e2e", 0, "deploy as many releases that are as good through a real semper, and write down what becomes of them")
	bin := flag.String("semper", "bin/semper", "the semper of -e2e")
	flag.Parse()
	var err error
	if *releases > 0 {
		err = deployed(*bin, *releases)
	} else {
		err = run(*runs, *cost)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(runs int, cost bool) error {
	if runs < 10 {
		return errors.New("-runs wants 10 or more: a 90th percentile is told")
	}
	if cost {
		return costly(os.Stdout)
	}
	var b bytes.Buffer
	if err := report(&b, runs); err != nil {
		return err
	}
	if runs != defaultRuns {
		_, err := b.WriteTo(os.Stdout)
		return err
	}
	return os.WriteFile("bench/judge/RESULTS.md", b.Bytes(), 0o644)
}

// deployed writes down what becomes of n releases that are as good. Interrupted, it is what became of those that were.
func deployed(bin string, n int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, err := alike(ctx, bin, n)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(alikeFile, append(b, '\n'), 0o644)
}

func report(w io.Writer, runs int) error {
	fmt.Fprintf(w, "# How soon the judge knows\n\nWritten by `go run ./bench/judge`. Seeds are fixed: every machine of one architecture has these numbers. alpha is 0.01.\n\n")
	fmt.Fprintf(w, "## Requests until a release is found worse\n\nRequests of the candidate, median / 90th percentile of %d runs. The margin is 1. \"Designed\" is what the design was made with, and may be off by 10 %%.\n\n", runs)
	fmt.Fprintf(w, "| errors of baseline → candidate | baseline as large | designed | baseline 19 times as large | designed |\n|---|---|---|---|---|\n")
	for i, r := range table {
		same, err := convict(seeded(uint64(200+2*i)), r, 1, runs)
		if err != nil {
			return err
		}
		large, err := convict(seeded(uint64(201+2*i)), r, 19, runs)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %g %% → %g %% | %s | %d | %s | %d |\n", 100*r.base, 100*r.candidate, same, r.same, large, r.large)
	}
	const nulls = 20 // times as many runs
	r, err := nothingWrong(seeded(1), nulls*runs)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n## Releases that are as good, found worse\n\n%d runs of 400 looks each, 0.5 %% errors on both sides: %d (%.2g %%), where 1 %% is allowed. ", r.runs, r.judge, 100*float64(r.judge)/float64(r.runs))
	fmt.Fprintf(w, "A z-test at 1 %% that is asked as often errs in %d (%.2g %%).\n", r.naive, 100*float64(r.naive)/float64(r.runs))
	if err := bursts(w, runs); err != nil {
		return err
	}
	if b, err := os.ReadFile(alikeFile); err == nil {
		var found Alike
		if err := json.Unmarshal(b, &found); err != nil {
			return fmt.Errorf("%s: %w", alikeFile, err)
		}
		found.write(w)
	}
	if err := tellCost(w); err != nil {
		return err
	}
	fmt.Fprint(w, peers)
	return nil
}

// peers is what others document of themselves. Nothing here was measured by semper.
const peers = `
## What others document

| | how long until it is known | errors when it is looked at often | source |
|---|---|---|---|
| semper | by evidence: 0.1 % → 1 % errors after about 1,300 requests of the candidate, at 100 requests/s and a share of 5 % in about 4 minutes; a release that fails whole after 10 requests; twice the latency after 22 s | 1 % over the whole rollout, however often | the tables above |
| Argo Rollouts | rollouts of 15 to 20 minutes advised, metrics that tell in 5 to 15 | a static condition for each measurement; nothing is claimed | docs/best-practices.md |
| Flagger | interval × threshold: 10 minutes until it goes back, 25 until it is promoted, in the example | a static range for each interval; nothing is claimed | deployment-strategies.md |
| Kayenta | 50 points of each metric or more; 3 hours with an interval of 1 hour to start with | Mann-Whitney at 98 % anew in each interval | spinnaker.io, canary best practices |
`
