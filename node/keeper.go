package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"semper"
	"semper/keeper"
)

// KeeperOptions say what a machine's semper owns.
type KeeperOptions struct {
	Dir         string
	HTTP, HTTPS []string
	HTTP3       bool // at the addresses of HTTPS
	API         string
	EdgeArgs    []string // of every edge's command line
	StopAll     bool
	Log         *slog.Logger
	Ready       func()
}

// Keeper is the root process. It returns when it has been told to end.
func Keeper(ctx context.Context, o KeeperOptions) error {
	if _, err := readQueueFile(dirs(o.Dir).queueFile()); err != nil { // said here to a person, and not by parts again and again
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "server run", Message: "this program's own file is not known", Err: err}
	}
	return keeper.Run(ctx, keeper.Options{
		Dir: o.Dir, HTTP: o.HTTP, HTTPS: o.HTTPS, HTTP3: o.HTTP3, API: o.API, EdgeArgs: o.EdgeArgs, Binary: exe, Log: o.Log, Ready: o.Ready, StopAllOnSignal: o.StopAll,
	})
}

// BecomeKeeper replaces this process's image by the keeper's, so that it has the title "semper
// keeper" under the same pid. It returns only when that failed.
func BecomeKeeper(args []string) error {
	exe, err := os.Executable()
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "server run", Message: "this program's own file is not known", Err: err}
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "server run", Err: err}
	}
	err = syscall.Exec(exe, append([]string{"semper", "keeper"}, args...), os.Environ())
	return &semper.Error{Code: semper.Internal, Op: "server run", Err: fmt.Errorf("execute %s: %w", exe, err)}
}

// Stop ends the server of a data directory, with everything it runs where instances is set.
func Stop(ctx context.Context, dir string, instances bool) error {
	k := keeper.NewClient(dirs(dir).keeper())
	defer k.Close()
	err := k.Shutdown(ctx, instances)
	if semper.CodeOf(err) != semper.Unavailable || ctx.Err() != nil {
		return err
	}
	c, down := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "api.sock"))
	if down != nil {
		return &semper.Error{Code: semper.NotFound, Op: "server stop", Message: "no semper runs on " + dir, Hint: "there is nothing to stop; --data names another directory"}
	}
	_ = c.Close() // only looked
	return &semper.Error{Code: semper.Unavailable, Op: "server stop", Message: "the keeper of " + dir + " has ended, by SIGTERM or --leave-running or a kill, and what it ran goes on",
		Hint: "start it again as before, it takes over what runs (semper server run --data " + dir + "), and then: semper server stop"}
}
