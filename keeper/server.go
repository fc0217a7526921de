package keeper

import (
	"context"
	"encoding/json"
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
	"semper/internal/handoff"
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
		if err := k.server.Serve(sameUser{l}); !errors.Is(err, http.ErrServerClosed) {
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

// sameUser turns away whoever is neither this user nor root. The socket's mode says the same, but a
// mode can be changed.
type sameUser struct{ net.Listener }

func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := c.(*net.UnixConn)
		if ok {
			if uid, err := handoff.PeerUID(u); err == nil && (uid == 0 || uid == os.Getuid()) {
				return c, nil
			}
		}
		_ = c.Close() // turned away
	}
}

func (k *keeper) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/instances/start", take(func(_ context.Context, spec semper.InstanceSpec) (semper.InstanceStatus, error) {
		return k.startInstance(spec)
	}))
	mux.HandleFunc("POST /v1/instances/stop", take(func(_ context.Context, r stopRequest) (struct{}, error) {
		return struct{}{}, k.stopInstance(r.ID, r.Why)
	}))
	mux.HandleFunc("POST /v1/instances/forget", take(func(_ context.Context, r stopRequest) (struct{}, error) {
		return struct{}{}, k.forgetInstance(r.ID)
	}))
	mux.HandleFunc("POST /v1/instances/kill", take(func(_ context.Context, r killRequest) (struct{}, error) {
		return struct{}{}, k.killInstance(r.ID, r.Reason)
	}))
	mux.HandleFunc("POST /v1/instances/exec", take(k.execBeside))
	mux.HandleFunc("GET /v1/instances", give(func(*http.Request) ([]semper.InstanceStatus, error) { return k.statuses(), nil }))
	mux.HandleFunc("GET /v1/watch", k.watch)
	mux.HandleFunc("GET /v1/tree", give(func(*http.Request) (Node, error) { return k.tree(), nil }))
	mux.HandleFunc("GET /v1/parts", give(func(*http.Request) ([]Part, error) { return k.listParts(), nil }))
	mux.HandleFunc("GET /v1/info", give(func(*http.Request) (api.ServerInfo, error) { return k.info(), nil }))
	mux.HandleFunc("GET /v1/crashes", give(func(*http.Request) ([]semper.CrashReport, error) { return k.crashes.List() }))
	mux.HandleFunc("POST /v1/crashes/ack", take(func(_ context.Context, r ackRequest) (struct{}, error) {
		return struct{}{}, k.crashes.Ack(r.IDs)
	}))
	mux.HandleFunc("POST /v1/upgrade", take(func(_ context.Context, r upgradeRequest) (upgradeBegun, error) {
		id, err := k.beginUpgrade(r.Binary)
		return upgradeBegun{ID: id}, err
	}))
	mux.HandleFunc("GET /v1/upgrade", give(func(r *http.Request) (upgradeLog, error) {
		after, err := strconv.Atoi(r.FormValue("after"))
		if err != nil {
			after = -1
		}
		return k.upgradeNews(r.Context(), r.FormValue("id"), after), nil
	}))
	mux.HandleFunc("POST /v1/shutdown", take(func(_ context.Context, r shutdownRequest) (struct{}, error) {
		select {
		case k.shutdowns <- r.Instances:
		default: // an end is under way already
		}
		return struct{}{}, nil
	}))
	return mux
}

// take answers requests with a JSON body.
func take[In, Out any](f func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&in); err != nil {
			reply(w, nil, &semper.Error{Code: semper.Invalid, Message: "the request cannot be read", Err: err})
			return
		}
		out, err := f(r.Context(), in)
		reply(w, out, err)
	}
}

// give answers requests without one.
func give[Out any](f func(*http.Request) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := f(r)
		reply(w, out, err)
	}
}

func reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(statusOf(semper.CodeOf(err)))
		out = errorResponse{Error: wireError(err)}
	}
	_ = json.NewEncoder(w).Encode(out) // a client that has left misses nothing
}

// wireError is err with the cause, which does not travel, put into words.
func wireError(err error) semper.Error {
	wire := semper.Error{Code: semper.CodeOf(err), Message: err.Error(), Hint: semper.HintOf(err)}
	if e, ok := errors.AsType[*semper.Error](err); ok && e.Op != "" {
		if rest, ok := strings.CutPrefix(wire.Message, e.Op+": "); ok {
			wire.Op, wire.Message = e.Op, rest
		}
	}
	return wire
}

func statusOf(c semper.Code) int {
	switch c {
	case semper.Invalid:
		return http.StatusBadRequest
	case semper.NotFound:
		return http.StatusNotFound
	case semper.Conflict:
		return http.StatusConflict
	case semper.Forbidden:
		return http.StatusForbidden
	case semper.Unavailable:
		return http.StatusServiceUnavailable
	case semper.Timeout:
		return http.StatusGatewayTimeout
	case semper.Tampered:
		return http.StatusUnprocessableEntity
	case semper.NoSpace:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
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

// statuses are all instances in the order of their ids.
func (k *keeper) statuses() []semper.InstanceStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.statusesLocked()
}

func (k *keeper) statusesLocked() []semper.InstanceStatus {
	all := []semper.InstanceStatus{}
	for _, m := range k.members {
		if m.rec.Instance != nil {
			all = append(all, m.statusLocked(k))
		}
	}
	slices.SortFunc(all, func(a, b semper.InstanceStatus) int { return strings.Compare(string(a.Spec.ID), string(b.Spec.ID)) })
	return all
}

// maxPending is how many changes a watcher may be behind before it gets the whole again instead.
const maxPending = 4096

// A watcher is one client of Watch. Its fields are guarded by keeper.mu.
type watcher struct {
	wake    chan struct{} // readable when there is something pending
	pending []semper.InstanceStatus
	behind  bool // pending overflowed: the whole is due
}

func (w *watcher) add(st semper.InstanceStatus) {
	if len(w.pending) >= maxPending {
		w.pending, w.behind = nil, true
	}
	if !w.behind {
		w.pending = append(w.pending, st)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// watch is [Client.Watch]: one JSON array per line, the whole first.
func (k *keeper) watch(rw http.ResponseWriter, r *http.Request) {
	w := &watcher{wake: make(chan struct{}, 1), behind: true}
	w.wake <- struct{}{}
	k.mu.Lock()
	k.watchers[w] = true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.watchers, w)
		k.mu.Unlock()
	}()
	rw.Header().Set("Content-Type", "application/jsonl")
	enc, ctl := json.NewEncoder(rw), http.NewResponseController(rw)
	for {
		select {
		case <-w.wake:
		case <-r.Context().Done():
			return
		}
		k.mu.Lock()
		batch := w.pending
		if w.behind {
			batch = k.statusesLocked()
		}
		w.pending, w.behind = nil, false
		k.mu.Unlock()
		if err := errors.Join(enc.Encode(batch), ctl.Flush()); err != nil {
			return
		}
	}
}
