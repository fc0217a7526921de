package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/term"
)

// Env is what a command line runs in. The zero value of a func field means the real thing.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// LookupEnv tells an empty variable from an unset one; nil: an empty one counts as unset.
	LookupEnv func(string) (string, bool)
	// IsTTY reports whether a stream is a terminal.
	IsTTY func(stream any) bool
	// Size is the terminal's, in columns and rows.
	Size func() (width, height int)
	Now  func() time.Time
	// Yield is called before long work beside a server on the same machine, so that the work does not
	// take processor time from what the server runs. Nil: it is done as it is.
	Yield func()
}

func (e Env) whole() Env {
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.LookupEnv == nil {
		get := e.Getenv
		e.LookupEnv = func(k string) (string, bool) { v := get(k); return v, v != "" }
	}
	if e.IsTTY == nil {
		e.IsTTY = func(stream any) bool {
			f, ok := stream.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		}
	}
	if e.Size == nil {
		e.Size = func() (int, int) {
			for _, s := range []any{e.Stderr, e.Stdout} {
				if f, ok := s.(*os.File); ok {
					if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
						return w, h
					}
				}
			}
			return 80, 24
		}
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}

// ServerCommands are what the server's side of the binary does. Each returns when it has ended; they
// get the context given to [Main] and handle signals themselves. A nil one is a command this binary does not have.
type ServerCommands struct {
	// Run is `semper server run`: in the end it becomes the keeper.
	Run func(ctx context.Context, o RunOptions) error
	// Keeper is the keeper itself, as Run executes it.
	Keeper func(ctx context.Context, o RunOptions) error
	// Part is a child of the keeper: kind is "store", "control", "queue" or "edge".
	Part func(ctx context.Context, kind string, o PartOptions) error
	// Edge is `semper edge run`: the edge alone, by a file of routes; check: only look whether it could be.
	Edge func(ctx context.Context, o EdgeOptions, check bool) error
	// Stop ends the server of a data directory; instances: with everything it runs.
	Stop func(ctx context.Context, dir string, instances bool) error
}

// RunOptions of a server.
type RunOptions struct {
	Dir         string   // data directory, absolute
	HTTP, HTTPS []string // public addresses
	HTTP3       bool     // at all addresses of HTTPS
	API         string   // TCP address of the API besides DIR/api.sock; "" for none
	Edge        EdgeSettings
	EdgeArgs    []string // Edge as flags, to execute edges with
	// StopAll makes the end of the keeper the end of everything it runs: for use in the foreground.
	StopAll bool
	Args    []string // the same as flags, to execute the keeper with
	Verbose bool
}

// EdgeOptions of an edge that runs alone.
type EdgeOptions struct {
	Routes      string   // the file
	HTTP, HTTPS []string // addresses beside those of the file
	HTTP3       bool     // at all addresses of HTTPS
	Metrics     string   // address for scrapes; "": as the file has it
	Driver      string   // one of EdgeDrivers
	Dir         string   // for certificates and keys that are made, absolute
	Verbose     bool
}

// EdgeDrivers are what may carry plaintext connections, the default first.
var EdgeDrivers = []string{"epoll", "goroutine"}

// Misconfigured is an error about a file somebody wrote: all of it is told, and the exit code says so.
type Misconfigured struct {
	Err   error // with a line for each problem, and its place
	Count int   // of problems
	Hint  string
}

// Error is that of Err.
func (m *Misconfigured) Error() string { return m.Err.Error() }

// Unwrap is Err.
func (m *Misconfigured) Unwrap() error { return m.Err }

// PartOptions of a child of the keeper.
type PartOptions struct {
	Dir       string       // data directory, absolute
	ID        string       // "edge-2"
	Edge      EdgeSettings // of an edge
	HTTP3Slot int          // of an edge, among the UDP sockets that it inherits
	Verbose   bool
}

// Main runs one command line (without the program's name) and returns its exit code. Ctrl-C ends a
// client's command, never what the server is doing for it; a second Ctrl-C ends it at once.
func Main(ctx context.Context, args []string, env Env, server ServerCommands) int {
	c := &command{env: env.whole(), server: server}
	root := c.root()
	root.SetArgs(args)
	if args == nil {
		root.SetArgs([]string{})
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if c.done != nil {
		defer c.done()
	}
	if err != nil && !c.ran {
		err = &exit{code: exitUsage, err: err, hint: c.usageHint(root, args)}
	}
	return c.end(err)
}

// interruptible gives ctx an end at Ctrl-C and at the deadline asked for.
func (c *command) interruptible(ctx context.Context) context.Context {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	again := context.AfterFunc(ctx, stop) // the first one asks, the second one ends the process
	cancel := context.CancelFunc(func() {})
	if c.timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, errTimeout)
	}
	c.done = func() { cancel(); again(); stop() }
	return ctx
}

var errTimeout = errors.New("the time given with --timeout is over")

// DefaultDir is the data directory when none is named: /var/lib/semper for root, else semper below
// the user's state directory.
func DefaultDir() string { return defaultDir(os.Geteuid(), os.Getenv) }

func defaultDir(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/var/lib/semper"
	}
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "semper")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "semper")
	}
	return filepath.Join(os.TempDir(), "semper-state")
}
