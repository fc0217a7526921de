package node

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge"
	"semper/internal/inbox"
)

// withQueue puts this machine's queue process into t, where some route leads to it: where that listens is a matter of each
// machine, and not of the table that all share.
func withQueue(t *semper.Table, d dirs) {
	to := func(r semper.Route) bool { return r.Pool == inbox.Pool }
	if !slices.ContainsFunc(t.Routes, to) && !slices.ContainsFunc(t.Rules, to) {
		return
	}
	t.Pools = append(t.Pools, semper.Pool{
		Key: inbox.Pool, App: "semper", Release: "queue",
		Backend: []semper.Backend{{ID: "semper-queue", Address: "unix:" + d.queueSocket()}},
	})
}

// acceptJobs takes requests that queues send. Only who may read the data directory can: the edge believes what they say of
// where a request is to go.
func (p *plane) acceptJobs(ctx context.Context) error {
	path := p.dirs.jobsSocket(p.o.ID)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	return p.edge.ServeUntil(ctx, l, edge.Terms{})
}

// towardsEdges is how a queue's requests come to an edge of this machine: the newest that takes them.
func towardsEdges(d dirs) *http.Transport {
	return &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dialEdge(ctx, d) },
		DisableCompression: true, MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
	}
}

func dialEdge(ctx context.Context, d dirs) (net.Conn, error) {
	paths, err := filepath.Glob(d.jobsSocket("edge-*"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(paths, func(a, b string) int { return -cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	err = errors.New("no edge takes requests of queues now")
	var dialer net.Dialer
	for _, path := range paths {
		conn, e := dialer.DialContext(ctx, "unix", path)
		if e == nil {
			return conn, nil
		}
		err = e
	}
	return nil, err
}
