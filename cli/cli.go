package cli

import (
	"context"
	"io"
)

// Env is what a command line runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// LookupEnv tells an empty variable from an unset one; nil: an empty one counts as unset.
	LookupEnv func(string) (string, bool)
	// IsTTY reports whether a stream is a terminal; nil: looks.
	IsTTY func(stream any) bool
	// Width is the terminal's, in columns; nil: looks.
	Width func() int
}

// ServerCommands are what the server's side of the binary does. Each returns when it has ended; they
// get the context given to [Main] and handle signals themselves. A nil one is a command this binary does not have.
type ServerCommands struct {
	// Run is `semper server run`: in the end it becomes the keeper.
	Run func(ctx context.Context, o RunOptions) error
	// Keeper is the keeper itself, as Run executes it.
	Keeper func(ctx context.Context, o RunOptions) error
	// Part is a child of the keeper: kind is "store", "control" or "edge".
	Part func(ctx context.Context, kind string, o PartOptions) error
	// Stop ends the server of a data directory; instances: with everything it runs.
	Stop func(ctx context.Context, dir string, instances bool) error
}

// RunOptions of a server.
type RunOptions struct {
	Dir         string   // data directory, absolute
	HTTP, HTTPS []string // public addresses
	API         string   // TCP address of the API besides DIR/api.sock; "" for none
	// StopAll makes the end of the keeper the end of everything it runs: for use in the foreground.
	StopAll bool
	Args    []string // the flags as given, to execute the keeper with
	Verbose bool
}

// PartOptions of a child of the keeper.
type PartOptions struct {
	Dir     string // data directory, absolute
	ID      string // "edge-2"
	Verbose bool
}

// Main runs one command line (without the program's name) and returns its exit code.
func Main(ctx context.Context, args []string, env Env, server ServerCommands) int { return 0 }

// DefaultDir is the data directory when none is named: /var/lib/semper for root, else semper below
// the user's state directory.
func DefaultDir() string { return "" }
