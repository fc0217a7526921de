package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"semper/supervise/internal/otpcase"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	atOnce   = 100 // cases played at a time: they mostly wait
	attempts = 5   // at a case that a busy machine spoils
)

// run is the command. It returns the exit status: 0 for traces, 1 for a case that could not be played, 2 for bad input.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("otptrace", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() { fmt.Fprint(errs, usage) }
	generate := flags.Int("generate", 0, "")
	seed := flags.Uint64("seed", 1, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "otptrace: argument %q: want none, cases come on stdin; otptrace -help shows how\n", flags.Arg(0))
		return 2
	}
	w := bufio.NewWriter(out)
	err := work(ctx, w, in, *generate, *seed)
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, otpcase.ErrInvalid):
		fmt.Fprintf(errs, "otptrace: %v\n", err)
		return 2
	default:
		fmt.Fprintf(errs, "otptrace: %v\n", err)
		return 1
	}
}

func work(ctx context.Context, w *bufio.Writer, in io.Reader, generate int, seed uint64) error {
	if generate > 0 {
		enc := json.NewEncoder(w)
		for _, c := range otpcase.Generate(seed, generate) {
			if err := enc.Encode(c); err != nil {
				return fmt.Errorf("write case %s: %w", c.Name, err)
			}
		}
		return nil
	}
	cases, err := otpcase.Read(in)
	if err != nil {
		return err
	}
	return play(ctx, w, cases)
}

// play plays cases side by side and writes their traces in order.
func play(ctx context.Context, w *bufio.Writer, cases []otpcase.Case) error {
	traces, errs := make([]otpcase.Trace, len(cases)), make([]error, len(cases))
	free := make(chan struct{}, atOnce)
	var playing sync.WaitGroup
	for i, c := range cases {
		free <- struct{}{}
		playing.Go(func() {
			traces[i], errs[i] = attempt(ctx, c)
			<-free
		})
	}
	playing.Wait()
	for i, c := range cases {
		if errs[i] != nil {
			errs[i] = fmt.Errorf("case %s: %w", c.Name, errs[i])
			continue
		}
		if _, err := w.WriteString(traces[i].String()); err != nil {
			return fmt.Errorf("write trace: %w", err)
		}
	}
	return errors.Join(errs...)
}

func attempt(ctx context.Context, c otpcase.Case) (t otpcase.Trace, err error) {
	for range attempts {
		if t, err = otpcase.Run(ctx, c); !errors.Is(err, otpcase.ErrLate) {
			break
		}
	}
	return t, err
}
