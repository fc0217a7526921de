package ask

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"semper"
	"semper/rollout/quiesce"
)

// A Keeper reaches into the surroundings of an instance.
type Keeper interface {
	Exec(ctx context.Context, id semper.InstanceID, argv []string, timeout time.Duration) (int, string, error)
	// Signal sends a signal, by its name, to the instance's main process.
	Signal(ctx context.Context, id semper.InstanceID, signal string) error
}

// Dial connects to the address of an instance: "127.0.0.1:20001" or "unix:/path".
func Dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// HTTP is nil when a request by t is answered with a status from 200 to 399.
func HTTP(ctx context.Context, t http.RoundTripper, method, path, agent string) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", agent)
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only the status matters
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return answered{resp.Status}
	}
	return nil
}

// answered is an answer that is none of success.
type answered struct{ status string }

func (a answered) Error() string { return "answered " + a.status }

// Exec is nil when argv, run beside an instance, ends with exit code 0.
func Exec(ctx context.Context, k Keeper, id semper.InstanceID, argv []string, timeout time.Duration) error {
	code, out, err := k.Exec(ctx, id, argv, timeout)
	if err != nil {
		return err
	}
	if code != 0 {
		return answered{fmt.Sprintf("exit code %d: %s", code, lastLine(out))}
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	return s
}

// timeout bounds one question about jobs.
const timeout = 10 * time.Second

// Quiesce tells a worker to take no more jobs.
func Quiesce(ctx context.Context, k Keeper, s semper.InstanceStatus, w quiesce.Way) error {
	if w.Signal != "" {
		return k.Signal(ctx, s.Spec.ID, w.Signal)
	}
	return put(ctx, k, s, w, http.MethodPost)
}

// Drained reports whether a worker that was told so has no job left, by its terms. An error says that nobody knows.
func Drained(ctx context.Context, k Keeper, s semper.InstanceStatus, t quiesce.Terms) (bool, error) {
	err := put(ctx, k, s, t.Look(), http.MethodGet)
	if _, said := err.(answered); err != nil && !said { //nolint:errorlint // it is never wrapped
		return false, err
	}
	return t.Drains(err == nil), nil
}

func put(ctx context.Context, k Keeper, s semper.InstanceStatus, w quiesce.Way, method string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if w.HTTP == "" {
		return Exec(ctx, k, s.Spec.ID, w.Exec, timeout)
	}
	t := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, s.Address) },
		DisableKeepAlives: true,
	}
	return HTTP(ctx, t, method, w.HTTP, "semper-quiesce")
}
