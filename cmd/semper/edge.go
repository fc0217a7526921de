package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"semper"
	"semper/cli"
	"semper/edge"
	"semper/edge/alone"
	"semper/edge/routefile"
)

// runEdge is the edge alone, or the look whether it could be.
func runEdge(ctx context.Context, o cli.EdgeOptions, check bool) error {
	options := alone.Options{
		Routes: o.Routes, HTTP: o.HTTP, HTTPS: o.HTTPS, HTTP3: o.HTTP3, Metrics: o.Metrics, Driver: edge.Driver(o.Driver), Dir: o.Dir, Log: logger(o.Verbose), Args: os.Args[1:],
		Ready: func(s alone.Serving) {
			word := "is up"
			if s.Reloads > 0 {
				word = "has reloaded " + o.Routes
			}
			fmt.Fprintf(os.Stderr, "semper edge %s: %s\n", word, s)
		},
		Refused: func(what string, err error) {
			fmt.Fprintf(os.Stderr, "%v\nsemper edge is not %s and goes on as before\n", err, what)
			if hint := semper.HintOf(err); hint != "" {
				fmt.Fprintln(os.Stderr, "hint:", hint)
			}
		},
	}
	if check {
		return misconfigured(alone.Check(options))
	}
	title("semper edge")
	collect(forEdge)
	return misconfigured(alone.Run(ctx, options))
}

// misconfigured marks an error about the file of routes as one.
func misconfigured(err error) error {
	if problems, ok := errors.AsType[routefile.Problems](err); ok {
		return &cli.Misconfigured{Err: problems, Count: len(problems), Hint: "docs/guides/edge-alone.md has examples; semper edge check --routes FILE checks again"}
	}
	return err
}
