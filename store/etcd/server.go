package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"semper"
	"semper/store"
)

// ServeOptions say where the server keeps its data and where it is reached.
type ServeOptions struct {
	Dir    string       // of the data, created when it does not exist
	Socket string       // path of the unix socket
	Ready  func()       // called once, when the first commit would be taken; may be nil
	Log    *slog.Logger // nil: slog.Default()
}

const (
	quota = 4 << 30
	// keep is how long a watcher may be away and still go on where it was.
	keep = "5m"
	// A single member waits for nobody's vote, only for its own clock: with these it leads, and so is ready, after 100
	// to 500 ms. A shorter tick would make it faster still and cost more when idle than all else it does.
	tick, election = 100, 500 // ms
	// drain is how long a server that stops waits for the calls it has.
	drain = 2 * time.Second
)

// smallSegments makes the log's files, of which two are always preallocated, 16 MiB instead of 64. etcd has this in
// a variable, hence once per process.
var smallSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = 16 << 20 })

// Serve runs the server until ctx ends; then it finishes the calls it has, for at most a few seconds, and returns
// nil. Any other end is an error. Damage that etcd finds in its data ends the process.
func Serve(ctx context.Context, o ServeOptions) (err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	smallSegments()
	if err := errors.Join(os.MkdirAll(o.Dir, 0o700), os.Chmod(o.Dir, 0o700)); err != nil {
		return starting(err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	space := &guard{dir: o.Dir, log: o.Log}
	space.prepare()
	l, err := listen(ctx, o.Socket)
	if err != nil {
		return starting(err)
	}
	// gRPC closes it, but not when it never comes to that.
	defer func() { _ = l.Close() }()
	e, err := embed.StartEtcd(config(o))
	if err != nil {
		return starting(err)
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
	case <-e.Server.StopNotify():
		return ended()
	case <-ctx.Done():
		return nil
	}
	return serve(ctx, o, e, l, space)
}

func serve(ctx context.Context, o ServeOptions, e *embed.Etcd, l net.Listener, space *guard) error {
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	srv := v3rpc.Server(e.Server, nil, nil,
		grpc.ChainStreamInterceptor(endWith(streams)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	var wg sync.WaitGroup
	defer wg.Wait()
	failed := make(chan error, 1)
	wg.Go(func() { failed <- srv.Serve(l) })
	watching, endWatching := context.WithCancel(ctx)
	defer endWatching()
	wg.Go(func() { space.watch(watching, e.Server) })
	debug.FreeOSMemory() // what the start needed is not needed again
	if o.Ready != nil {
		o.Ready()
	}
	defer srv.Stop()
	select {
	case <-ctx.Done():
		endStreams()
		stopped := time.AfterFunc(drain, srv.Stop)
		defer stopped.Stop()
		srv.GracefulStop()
		return nil
	case err := <-failed:
		return starting(err)
	case <-e.Server.StopNotify():
		return ended()
	}
}

// endWith ends the streams, which are watches and leases and would otherwise never end, when done does, in the way
// that makes their clients come back.
func endWith(done context.Context) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(done, cancel)()
		err := handler(srv, &endingStream{ServerStream: ss, ctx: ctx})
		if done.Err() != nil {
			return status.Error(codes.Unavailable, "the store is stopping")
		}
		return err
	}
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endingStream) Context() context.Context { return s.ctx }

func config(o ServeOptions) *embed.Config {
	c := embed.NewConfig()
	c.Name = "semper"
	c.Dir = o.Dir
	// The address is a name in the member list and nothing more: nobody listens there.
	self := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{self}
	c.ListenClientUrls, c.AdvertiseClientUrls = nil, []url.URL{{Scheme: "unix", Host: "store.sock"}}
	c.InitialCluster = c.Name + "=" + self.String()
	c.TickMs, c.ElectionMs = tick, election
	c.PreVote, c.StrictReconfigCheck = true, true
	c.QuotaBackendBytes = quota
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, keep
	c.BootstrapDefragThresholdMegabytes = 64
	c.SnapshotCount, c.SnapshotCatchUpEntries = 200, 25 // entries in memory, and replayed at a start: of up to 1 MiB each
	c.MaxTxnOps = store.MaxOps
	c.MaxRequestBytes = 4 * store.MaxBytes
	c.EnableGRPCGateway, c.EnablePprof = false, false
	c.AuthToken = ""
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(bridged(o.Log.Handler()))
	return c
}

// lockDir keeps a second server off the directory. The kernel gives the lock back when the process dies.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, starting(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &semper.Error{Code: semper.Conflict, Op: "store start", Message: "another store runs on " + dir,
			Hint: "stop it, or use another data directory"}
	}
	return nil, starting(err)
}

// listen binds path with mode 0600 from its first moment: Linux gives a socket's file the mode of its descriptor.
// A file that a dead server left is replaced; that it is dead is known from the lock.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	return lc.Listen(ctx, "unix", path)
}

func starting(err error) error {
	e := &semper.Error{Code: semper.Unavailable, Op: "store start", Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		e.Code, e.Message, e.Hint = semper.NoSpace, "the disk is full", "free space; the store comes back by itself"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Code = semper.Forbidden
	}
	return e
}

func ended() error {
	return &semper.Error{Code: semper.Unavailable, Op: "store", Message: "the server stopped by itself", Err: fmt.Errorf("see its log")}
}
