// Package config reads semper.yaml (or a Procfile) into a [semper.Spec], and says everything that is
// wrong with it at once.
//
// # Problem
//
// A configuration file is edited by people, often in a hurry. What they need from a reader is every
// mistake in one run, each with its place, the line it stands on and the nearest thing that would have
// been right; and never a value silently dropped, shortened, defaulted by mistake or taken from an
// environment variable that is not set. YAML libraries stop at the first mistake or know only lines,
// and speak of Go types.
//
// # How it works
//
// The file's format is a set of Go types of its own (format.go), whose tags carry documentation,
// bounds and defaults. The YAML library only parses, to nodes. One walker (walk.go) goes through nodes
// and types together, expands environment variables in scalars, and collects problems; it remembers
// the place of each key path. Checks between keys (check.go) run on the typed result and report through the same
// places. Only then is the spec built (build.go). Schema, Explain and the table in
// docs/configuration.md are printed from the same types, so that none can say something else.
//
// # Invariants
//
//   - An error lists every problem of the file, in file order, each with a line and a column inside it.
//     A file that is not YAML has one problem: there is no tree to look at further.
//   - A File is returned only where there was no problem; its Spec has every default applied.
//   - Secrets are names. They are never read, expanded or printed here.
//   - Reading a file never writes and never runs anything. Every input ends in a result or in *Errors.
//   - Work is bounded: a file is at most 1 MiB, and aliases expand to at most 100,000 values.
//
// # What it will not do
//
// No templates, no includes, no rewriting of the user's file, and no second spelling for a key.
package config
