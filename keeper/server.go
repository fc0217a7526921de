package keeper

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/keeper/wire"
)

// serve answers until ctx ends or a client asks for the end; it tells whether everything is to be
// stopped. The server itself goes on until [keeper.leave].
func (k *keeper) serve(ctx context.Context) (all bool, err error) {
	l, err := k.door.Listen()
	if err != nil {
		return false, err
	}
	answering, hangUp := context.WithCancel(k.life)
	k.server = &http.Server{
		Handler: k.handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(k.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return answering },
	}
	k.server.RegisterOnShutdown(hangUp)
	k.goBackground(func() {
		if err := k.server.Serve(wire.SameUser{Listener: l}); !errors.Is(err, http.ErrServerClosed) {
			k.log.Error("the keeper's socket ended", "error", err)
		}
	})
	k.mu.Lock()
	for _, m := range k.members {
		if m.rec.Part != nil && m.rec.Part.Kind == kindEdge && m.rec.Notified {
			k.tellReady()
		}
	}
	k.mu.Unlock()
	select {
	case <-ctx.Done():
		return k.o.StopAllOnSignal, nil
	case all := <-k.shutdowns:
		return all, nil
	}
}

// hangUp ends the server; answers under way get a moment.
func (k *keeper) hangUp() {
	ctx, cancel := context.WithTimeout(k.life, time.Second)
	defer cancel()
	if err := k.server.Shutdown(ctx); err != nil {
		_ = k.server.Close() // whoever is still there sees the connection end
	}
}

func (k *keeper) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/instances/start", wire.Take(func(_ context.Context, spec semper.InstanceSpec) (semper.InstanceStatus, error) {
		return k.startInstance(spec)
	}))
	mux.HandleFunc("POST /v1/instances/stop", wire.Take(func(_ context.Context, r wire.StopRequest) (struct{}, error) {
		return struct{}{}, k.stopInstance(r.ID, r.Why)
	}))
	mux.HandleFunc("POST /v1/instances/forget", wire.Take(func(_ context.Context, r wire.StopRequest) (struct{}, error) {
		return struct{}{}, k.forgetInstance(r.ID)
	}))
	mux.HandleFunc("POST /v1/instances/kill", wire.Take(func(_ context.Context, r wire.KillRequest) (struct{}, error) {
		return struct{}{}, k.killInstance(r.ID, r.Reason)
	}))
	mux.HandleFunc("POST /v1/instances/ready", wire.Take(func(_ context.Context, r wire.ReadyRequest) (struct{}, error) {
		k.foundReady(r.ID, r.Incarnation, r.Own)
		return struct{}{}, nil
	}))
	mux.HandleFunc("POST /v1/instances/signal", wire.Take(func(_ context.Context, r wire.SignalRequest) (struct{}, error) {
		return struct{}{}, k.signalInstance(r.ID, r.Signal)
	}))
	mux.HandleFunc("POST /v1/whose", wire.Take(func(_ context.Context, r wire.PeerRequest) (semper.InstanceStatus, error) { return k.whose(r) }))
	mux.HandleFunc("POST /v1/instances/exec", wire.Take(k.execBeside))
	mux.HandleFunc("GET /v1/instances", wire.Give(func(*http.Request) ([]semper.InstanceStatus, error) { return k.statuses(nil), nil }))
	mux.HandleFunc("GET /v1/watch", k.feed.Serve)
	mux.HandleFunc("GET /v1/tree", wire.Give(func(r *http.Request) (Node, error) { return k.tree(r.Context()), nil }))
	mux.HandleFunc("GET /v1/parts", wire.Give(func(*http.Request) ([]Part, error) { return k.listParts(), nil }))
	mux.HandleFunc("GET /v1/info", wire.Give(func(*http.Request) (api.ServerInfo, error) { return k.info(), nil }))
	mux.HandleFunc("GET /v1/crashes", wire.Give(func(*http.Request) ([]semper.CrashReport, error) { return k.crashes.List() }))
	mux.HandleFunc("POST /v1/crashes/ack", wire.Take(func(_ context.Context, r wire.AckRequest) (struct{}, error) {
		return struct{}{}, k.crashes.Ack(r.IDs)
	}))
	mux.HandleFunc("POST /v1/upgrade", wire.Take(func(_ context.Context, r wire.UpgradeRequest) (wire.UpgradeBegun, error) {
		id, err := k.beginUpgrade(r.Binary)
		return wire.UpgradeBegun{ID: id}, err
	}))
	mux.HandleFunc("GET /v1/upgrade", wire.Give(func(r *http.Request) (wire.UpgradeLog, error) {
		after, err := strconv.Atoi(r.FormValue("after"))
		if err != nil {
			after = -1
		}
		return k.upgradeNews(r.Context(), r.FormValue("id"), after), nil
	}))
	mux.HandleFunc("POST /v1/shutdown", wire.Take(func(_ context.Context, r wire.ShutdownRequest) (struct{}, error) {
		select {
		case k.shutdowns <- r.Instances:
		default: // an end is under way already
		}
		return struct{}{}, nil
	}))
	return mux
}

// info is [Client.Info].
func (k *keeper) info() api.ServerInfo {
	info := api.ServerInfo{Version: semper.Version, Dir: string(k.dir), KeeperPID: os.Getpid()}
	for _, s := range k.sockets {
		switch s.Name {
		case "http":
			info.HTTP = append(info.HTTP, s.Addr())
		case "https":
			info.HTTPS = append(info.HTTPS, s.Addr())
		case "api":
			info.API = append(info.API, "unix://"+k.dir.API())
		case "apitcp":
			info.API = append(info.API, s.Addr())
		}
	}
	return info
}

// statuses are all instances in the order of their ids; then, if any, is called before they can change.
func (k *keeper) statuses(then func()) []semper.InstanceStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := []semper.InstanceStatus{}
	for _, m := range k.members {
		if m.rec.Instance != nil {
			all = append(all, m.statusLocked(k))
		}
	}
	slices.SortFunc(all, func(a, b semper.InstanceStatus) int { return strings.Compare(string(a.Spec.ID), string(b.Spec.ID)) })
	if then != nil {
		then()
	}
	return all
}
