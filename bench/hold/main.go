// Command hold measures what requests cost that an edge holds, and how they go on: thousands of clients, most of them slow, wait in one
// line of a real edge, in a process of its own. More come than may wait; some give up and others take their places; the hold ends, and
// all go on to the new release, while others still come.
//
//	go run ./bench/hold            to the terminal
//	go run ./bench/hold -write     and to bench/hold/RESULTS.md, on a machine that does nothing else
//	go run ./bench/hold -n 1000    fewer
//	go run ./bench/hold -heap F    and the profile of who has the memory while all wait to F.loops and F.goroutines, for go tool pprof
//
// A third each is of the classes background, standard and critical. A quarter sends everything at once, a quarter its head in pieces, a
// quarter 16 KiB of content in pieces; a quarter takes its answer in sips.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"semper/edge"
)

func main() {
	write := flag.Bool("write", false, "write bench/hold/RESULTS.md")
	n := flag.Int("n", 10000, "requests that wait")
	rate := flag.Int("rate", 1000, "pace at which they go on, per second")
	heap := flag.String("heap", "", "write heap profiles to files of this name, and the driver's behind it")
	serve := flag.String("serve", "", "be an edge with this driver (for the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *serve != "" {
		err = beEdge(whileOpen(ctx, os.Stdin), edge.Driver(*serve), os.Stdout)
	} else {
		err = measure(ctx, scale{*n, *rate}, *heap, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hold:", err)
		stop()
		os.Exit(1)
	}
}

// whileOpen ends when r does: with whoever started this process.
func whileOpen(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}

const head = `# Held requests

Written by ` + "`go run ./bench/hold -write`" + `: %s, %d processors, %s. Memory is what the process of the edge keeps beyond that of the same connections at rest; what the kernel has for a socket is not in it. Waits are from the end of the hold.

| driver | waiting | bytes each (at most 2,048) | refused over the bound | gave up, and others took their places | served by the new release | lost | pace | wait p50, p99, longest; the pace's own | most in 0.1 s, of the pace | places overtaken within a class |
|---|---|---|---|---|---|---|---|---|---|---|
`

func measure(ctx context.Context, s scale, heap string, write bool) error {
	var text bytes.Buffer
	out := io.MultiWriter(os.Stdout, &text)
	fmt.Fprintf(out, head, runtime.Version(), runtime.NumCPU(), time.Now().Format(time.DateOnly))
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		f, err := one(ctx, d, s, heap)
		if err != nil {
			return fmt.Errorf("driver %s: %w", d, err)
		}
		for what, n := range f.Losses {
			fmt.Fprintf(os.Stderr, "hold: driver %s: %d lost, %s\n", d, n, what)
		}
		fmt.Fprintf(out, "| %s | %d | %.0f | %d of %d | %d | %d | %d | %d/s | %.1f s, %.1f s, %.1f s; %.1f s | %.2f | %d |\n",
			d, f.Waiting, f.Held, f.Refused, f.Asked, f.GaveUp, f.Served, f.Lost, f.Rate, f.P50, f.P99, f.Longest, f.Whole, f.Peak, f.Overtaken)
	}
	if write {
		return os.WriteFile("bench/hold/RESULTS.md", text.Bytes(), 0o644)
	}
	return nil
}

func one(ctx context.Context, d edge.Driver, s scale, heap string) (f figures, err error) {
	p, err := startEdge(d, heap != "")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	t := &trial{scale: s, edge: p}
	if heap != "" {
		t.heap = heap + "." + string(d)
	}
	return t.run(ctx)
}
