package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"semper"
	"semper/bench/rig"
	"semper/edge"
)

// where an edge is reached: its one line of output.
type where struct {
	HTTP    string `json:"http"`
	Control string `json:"control"`
}

// beEdge serves until ctx ends. out is told where.
func beEdge(ctx context.Context, driver edge.Driver, out io.Writer) (err error) {
	e, err := edge.New(edge.Options{ID: "hold", Driver: driver, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, e.Close())
	}
	told, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, l.Close(), e.Close())
	}
	s := &http.Server{Handler: control(e), ReadHeaderTimeout: time.Second}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	go func() { failed <- e.ServeUntil(ctx, l, edge.Terms{Idle: time.Hour}) }()
	go func() { failed <- s.Serve(told) }()
	left := 2
	if err = json.NewEncoder(out).Encode(where{HTTP: l.Addr().String(), Control: told.Addr().String()}); err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
			left--
		}
	}
	cancel()
	err = errors.Join(err, s.Close())
	for range left {
		if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, e.Close(), closed(l))
}

// closed closes l, which the edge may have done.
func closed(l net.Listener) error {
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// control is the edge's own with three words more: PUT /table, POST /collect, which gives back what memory is free, and GET /heap, who has
// the rest.
func control(e *edge.Edge) http.Handler {
	m := http.NewServeMux()
	m.Handle("/", e.Control())
	m.HandleFunc("PUT /table", func(w http.ResponseWriter, r *http.Request) {
		var t semper.Table
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&t)
		if err == nil {
			err = e.Apply(t)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	m.HandleFunc("POST /collect", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	m.HandleFunc("GET /heap", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC() // the profile is as of the last one
		if err := pprof.WriteHeapProfile(w); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	return m
}

// A proxy is an edge that is measured.
type proxy struct {
	where
	pid  int // 0: it is in this process
	stop func() error
}

// startEdge starts an edge in a process of its own, which is this program again.
// profiled says that it will be asked for its heap.
func startEdge(driver edge.Driver, profiled bool) (*proxy, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, "-serve", string(driver))
	cmd.Stderr = os.Stderr
	if profiled { // the runtime takes samples from its first allocation on
		cmd.Env = append(os.Environ(), "GODEBUG=memprofilerate=512")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &proxy{pid: cmd.Process.Pid, stop: func() error { return errors.Join(in.Close(), cmd.Wait()) }}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.where)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the edge did not start: %w", err), p.stop())
	}
	return p, nil
}

// apply makes the edge serve by t.
func (p *proxy) apply(ctx context.Context, t semper.Table) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return p.ask(ctx, http.MethodPut, "/table", text, nil)
}

// held is how many requests wait.
func (p *proxy) held(ctx context.Context) (int, error) {
	var s semper.EdgeState
	err := p.ask(ctx, http.MethodGet, "/v1/state", nil, &s)
	return s.Held[pool], err
}

// memory is what the edge's process keeps, in bytes, when it has given back what is free.
func (p *proxy) memory(ctx context.Context) (int64, error) {
	if p.pid == 0 {
		return 0, nil
	}
	if err := p.ask(ctx, http.MethodPost, "/collect", nil, nil); err != nil {
		return 0, err
	}
	u, err := rig.UsageOf(p.pid)
	return u.PSS, err
}

// heap writes the profile of its heap to a file.
func (p *proxy) heap(ctx context.Context, to string) error {
	var profile []byte
	if err := p.ask(ctx, http.MethodGet, "/heap", nil, &profile); err != nil {
		return err
	}
	return os.WriteFile(to, profile, 0o644)
}

// ask asks the edge's control. The answer is JSON, unless it is wanted as bytes.
func (p *proxy) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.Control+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, text)
	}
	if to, ok := answer.(*[]byte); ok {
		*to = text
	} else if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return err
}
