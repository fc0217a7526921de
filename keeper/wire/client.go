package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"semper"
	"semper/api"
	"semper/internal/pause"
)

// A Client talks to the keeper of this machine. It is safe for concurrent use; a keeper that is away
// (killed, or replacing itself) is an [semper.Error] with Code Unavailable, and the next call tries
// again.
type Client struct {
	http *http.Client
}

// NewClient is a client of the keeper that answers on the unix socket at path (DIR/run/keeper.sock).
// It does not connect.
func NewClient(socket string) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
	}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Start makes the keeper run an instance. It is idempotent by the spec's ID; the same ID with a
// different spec is a Conflict. It returns once the instance is journaled and its first start was
// tried: a start that failed is a status with LastEnd.Reason.Kind "start", not an error.
func (c *Client) Start(ctx context.Context, spec semper.InstanceSpec) (semper.InstanceStatus, error) {
	var st semper.InstanceStatus
	err := c.call(ctx, "start "+string(spec.ID), http.MethodPost, "/v1/instances/start", spec, &st)
	return st, err
}

// Stop asks an instance to end and returns at once; Watch shows Stopping, then Ended. It is
// idempotent, also for an id the keeper does not know.
func (c *Client) Stop(ctx context.Context, id semper.InstanceID, why string) error {
	return c.call(ctx, "stop "+string(id), http.MethodPost, "/v1/instances/stop", StopRequest{ID: id, Why: why}, nil)
}

// Forget drops an Ended instance, its scratch and its log. An instance that has not ended is a
// Conflict; an unknown id is forgotten already.
func (c *Client) Forget(ctx context.Context, id semper.InstanceID) error {
	return c.call(ctx, "forget "+string(id), http.MethodPost, "/v1/instances/forget", StopRequest{ID: id}, nil)
}

// Kill ends this incarnation of an instance for the given reason (its liveness check failed); its
// supervisor decides about the next one. NotFound when there is none to kill.
func (c *Client) Kill(ctx context.Context, id semper.InstanceID, r semper.Reason) error {
	return c.call(ctx, "kill "+string(id), http.MethodPost, "/v1/instances/kill", KillRequest{ID: id, Reason: r}, nil)
}

// Signal sends a signal, by its name ("SIGTSTP"), to the main process of an instance. NotFound when there is none.
func (c *Client) Signal(ctx context.Context, id semper.InstanceID, signal string) error {
	return c.call(ctx, "signal "+string(id), http.MethodPost, "/v1/instances/signal", SignalRequest{ID: id, Signal: signal}, nil)
}

// Ready tells that this incarnation of an instance was found ready, before requests are sent to it: from the answer on it
// has its full share of the processors. An instance that is gone, or another incarnation by now, is no error.
func (c *Client) Ready(ctx context.Context, id semper.InstanceID, incarnation int64) error {
	return c.call(ctx, "ready "+string(id), http.MethodPost, "/v1/instances/ready", ReadyRequest{ID: id, Incarnation: incarnation}, nil)
}

// SaidReady is Ready by the instance's own word, which counts as its READY=1: it has asked for a job.
func (c *Client) SaidReady(ctx context.Context, id semper.InstanceID, incarnation int64) error {
	return c.call(ctx, "ready "+string(id), http.MethodPost, "/v1/instances/ready", ReadyRequest{ID: id, Incarnation: incarnation, Own: true}, nil)
}

// Whose is the instance that a process belongs to, by the kernel's word on who it is: itself, or what it has started. NotFound
// for what is none of semper's.
func (c *Client) Whose(ctx context.Context, pid, uid int) (semper.InstanceStatus, error) {
	var s semper.InstanceStatus
	err := c.call(ctx, "identify a process", http.MethodPost, "/v1/whose", PeerRequest{PID: pid, UID: uid}, &s)
	return s, err
}

// Instances are all the keeper knows, ended ones included, in the order of their ids.
func (c *Client) Instances(ctx context.Context) ([]semper.InstanceStatus, error) {
	var all []semper.InstanceStatus
	err := c.call(ctx, "list instances", http.MethodGet, "/v1/instances", nil, &all)
	return all, err
}

// Watch sends all instances first, then each change within a millisecond. The channel closes when
// ctx ends or the keeper goes away. Forgotten instances are not mentioned again.
func (c *Client) Watch(ctx context.Context) (<-chan []semper.InstanceStatus, error) {
	resp, err := c.send(ctx, "watch instances", http.MethodGet, "/v1/watch", nil)
	if err != nil {
		return nil, err
	}
	ch := make(chan []semper.InstanceStatus)
	go func() {
		defer close(ch)
		defer resp.Body.Close() //nolint:errcheck // only read
		dec := json.NewDecoder(resp.Body)
		for {
			var batch []semper.InstanceStatus
			if dec.Decode(&batch) != nil {
				return
			}
			select {
			case ch <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, nil
}

// Exec runs argv beside an instance: with its environment, user, directory and limits. It returns the
// exit code (128 + signal when a signal ended it) and the newest 64 KiB of output. Over timeout it is
// killed and the error has Code Timeout.
func (c *Client) Exec(ctx context.Context, id semper.InstanceID, argv []string, timeout time.Duration) (int, string, error) {
	var out ExecResponse
	req := ExecRequest{ID: id, Argv: argv, Timeout: semper.Duration(timeout)}
	err := c.call(ctx, "exec in "+string(id), http.MethodPost, "/v1/instances/exec", req, &out)
	return out.Code, out.Output, err
}

// Tree is the supervision tree, the keeper at its root.
func (c *Client) Tree(ctx context.Context) (Node, error) {
	var n Node
	err := c.call(ctx, "tree", http.MethodGet, "/v1/tree", nil, &n)
	return n, err
}

// Parts are semper's own processes on this machine, the keeper first. During an upgrade a kind may
// have two.
func (c *Client) Parts(ctx context.Context) ([]Part, error) {
	var parts []Part
	err := c.call(ctx, "list parts", http.MethodGet, "/v1/parts", nil, &parts)
	return parts, err
}

// Crashes are the crash reports nobody has acknowledged, oldest first.
func (c *Client) Crashes(ctx context.Context) ([]semper.CrashReport, error) {
	var reports []semper.CrashReport
	err := c.call(ctx, "list crashes", http.MethodGet, "/v1/crashes", nil, &reports)
	return reports, err
}

// AckCrashes drops crash reports the caller has stored. Unknown ids are ignored.
func (c *Client) AckCrashes(ctx context.Context, ids []string) error {
	return c.call(ctx, "acknowledge crashes", http.MethodPost, "/v1/crashes/ack", AckRequest{IDs: ids}, nil)
}

// Info says who this server is.
func (c *Client) Info(ctx context.Context) (api.ServerInfo, error) {
	var info api.ServerInfo
	err := c.call(ctx, "server info", http.MethodGet, "/v1/info", nil, &info)
	return info, err
}

// Shutdown ends the keeper. With instances it first stops, in order, edges (drained), instances,
// control and store; without, all of them are left running for the next keeper. It returns when the
// end has begun; it is complete when the keeper's lock is free.
func (c *Client) Shutdown(ctx context.Context, instances bool) error {
	return c.call(ctx, "shut down", http.MethodPost, "/v1/shutdown", ShutdownRequest{Instances: instances}, nil)
}

// Upgrade replaces keeper, store, edge and control by the binary at path (empty: by the one the
// keeper was started from) and sends each step. A second call while one runs follows that one. The
// progress goes on over the keeper's replacement of itself; the channel closes at the end of the
// upgrade (its last step has Part "semper" and Status "done" or "failed"), or of ctx.
func (c *Client) Upgrade(ctx context.Context, binary string) (<-chan api.UpgradeStep, error) {
	var begun UpgradeBegun
	err := c.call(ctx, "upgrade", http.MethodPost, "/v1/upgrade", UpgradeRequest{Binary: binary}, &begun)
	if err != nil {
		return nil, err
	}
	ch := make(chan api.UpgradeStep)
	go c.follow(ctx, begun.ID, ch)
	return ch, nil
}

// UpgradeSteps are the steps of the newest upgrade so far, for who lost the channel of [Client.Upgrade].
func (c *Client) UpgradeSteps(ctx context.Context) (steps []api.UpgradeStep, done bool, err error) {
	var log UpgradeLog
	err = c.call(ctx, "upgrade", http.MethodGet, "/v1/upgrade", nil, &log)
	return log.Steps, log.Done(), err
}

// follow polls the log of upgrade id: each answer waits for news at the keeper, and a keeper that is
// away for the moment of its own replacement is asked again.
func (c *Client) follow(ctx context.Context, id string, ch chan<- api.UpgradeStep) {
	defer close(ch)
	seen, away := 0, time.Time{}
	for ctx.Err() == nil {
		var log UpgradeLog
		q := url.Values{"after": {strconv.Itoa(seen)}, "id": {id}}
		err := c.call(ctx, "upgrade", http.MethodGet, "/v1/upgrade?"+q.Encode(), nil, &log)
		switch {
		case semper.CodeOf(err) == semper.Unavailable && (away.IsZero() || time.Since(away) < 30*time.Second):
			if away.IsZero() {
				away = time.Now()
			}
			pause.For(ctx, 20*time.Millisecond)
			continue
		case err != nil:
			deliver(ctx, ch, api.UpgradeStep{Part: "semper", Status: "failed", Error: err.Error()})
			return
		}
		away = time.Time{}
		if log.ID != id {
			return // a newer one has taken its place, so this one has ended
		}
		for _, step := range log.Steps[min(seen, len(log.Steps)):] {
			deliver(ctx, ch, step)
			seen++
		}
		if log.Done() {
			return
		}
	}
}

func deliver[T any](ctx context.Context, ch chan<- T, v T) {
	select {
	case ch <- v:
	case <-ctx.Done():
	}
}

// call sends body and reads the answer into out, both as JSON.
func (c *Client) call(ctx context.Context, op, method, path string, body, out any) error {
	resp, err := c.send(ctx, op, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return c.away(ctx, op, err)
	}
	return nil
}

// send returns a response with status 200, whose body the caller closes.
func (c *Client) send(ctx context.Context, op, method, path string, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, &semper.Error{Code: semper.Internal, Op: op, Err: err}
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://keeper"+path, r)
	if err != nil {
		return nil, &semper.Error{Code: semper.Internal, Op: op, Err: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.away(ctx, op, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var e ErrorResponse
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Error.Code == "" {
		return nil, &semper.Error{Code: semper.Internal, Op: op, Message: "the keeper answered " + resp.Status}
	}
	if e.Error.Op == "" {
		e.Error.Op = op
	}
	return nil, &e.Error
}

func (c *Client) away(ctx context.Context, op string, err error) error {
	if cerr := context.Cause(ctx); cerr != nil {
		code := semper.Unavailable
		if errors.Is(cerr, context.DeadlineExceeded) {
			code = semper.Timeout
		}
		return &semper.Error{Code: code, Op: op, Err: cerr}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &semper.Error{
		Code: semper.Unavailable, Op: op, Message: "the keeper does not answer", Err: err,
		Hint: "start it: semper server run",
	}
}

// Post asks the part that answers at socket for something that needs no words.
func Post(ctx context.Context, socket, path string) error {
	c := NewClient(socket)
	defer c.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://part"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read
	if resp.StatusCode >= 300 {
		return errors.New(path + ": " + resp.Status)
	}
	return nil
}
