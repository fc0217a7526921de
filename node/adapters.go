package node

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/api"
	"semper/autoscale/waking"
	"semper/control"
	"semper/edge"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/mirror/told"
	"semper/experiment/design"
	"semper/keeper"
	"semper/store/blob"
)

// edges asks every living edge over its own socket.
type edges struct {
	keeper *keeper.Client
	scaled func() map[semper.EnvironmentKey][]api.Scaling // nil: nobody knows
	mu     sync.Mutex
	conns  map[string]*http.Client // guarded by mu; by socket
}

func newEdges(k *keeper.Client) *edges {
	return &edges{keeper: k, conns: make(map[string]*http.Client)}
}

func (e *edges) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.conns {
		c.CloseIdleConnections()
	}
}

// States of every living edge.
func (e *edges) States(ctx context.Context) ([]semper.EdgeState, error) {
	return whole(asked[semper.EdgeState](ctx, e, "/v1/state"))
}

// Desks are the states of every living queue process.
func (e *edges) Desks(ctx context.Context) ([]semper.EdgeState, error) {
	return whole(askedOf[semper.EdgeState](ctx, e, "queue", "/v1/state"))
}

// Await returns once every living edge serves by epoch.
func (e *edges) Await(ctx context.Context, epoch semper.Epoch) ([]semper.EdgeState, error) {
	return whole(asked[semper.EdgeState](ctx, e, fmt.Sprintf("/v1/wait?epoch=%d", epoch)))
}

// whole is every edge's answer. One that does not answer fails the whole, because what it serves by is not known.
func whole[T any](answers []T, _ []keeper.Part, errs []error, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return answers, errors.Join(errs...)
}

// Traffic is what all edges do now. What those do that answer is better than nothing; those that do not are named.
func (e *edges) Traffic(ctx context.Context) (api.Traffic, error) {
	reports, parts, errs, err := asked[metrics.Report](ctx, e, "/v1/traffic")
	if err != nil {
		return api.Traffic{}, err
	}
	var silent []string
	answered := reports[:0]
	for i, r := range reports {
		if errs[i] != nil {
			silent = append(silent, parts[i].ID)
			continue
		}
		answered = append(answered, r)
	}
	if len(answered) == 0 && len(silent) > 0 {
		return api.Traffic{}, errors.Join(errs...)
	}
	t := trafficOf(metrics.Merge(answered...))
	t.Silent = silent
	return t, nil
}

// Sleepers are those of all edges together. The first edge at which somebody waits answers for all.
func (e *edges) Sleepers(ctx context.Context, wait bool) (map[semper.PoolKey]waking.Told, error) {
	if wait {
		return e.woken(ctx)
	}
	answers, err := whole(asked[map[semper.PoolKey]waking.Told](ctx, e, "/v1/sleepers"))
	if err != nil {
		return nil, err
	}
	out := make(map[semper.PoolKey]waking.Told)
	for _, told := range answers {
		for pool, t := range told {
			sum := out[pool]
			out[pool] = waking.Told{Asked: sum.Asked + t.Asked, Waiting: sum.Waiting + t.Waiting}
		}
	}
	return out, nil
}

// woken waits at every edge, and returns what the first says at which somebody waits.
func (e *edges) woken(ctx context.Context) (map[semper.PoolKey]waking.Told, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts, err := e.ready(ctx, "edge")
	if err != nil {
		return nil, err
	}
	first := make(chan map[semper.PoolKey]waking.Told, len(parts))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait
	for _, p := range parts {
		wg.Go(func() {
			var told map[semper.PoolKey]waking.Told
			if e.ask(ctx, p.Socket, "/v1/woken", &told) == nil {
				first <- told
			}
		})
	}
	select {
	case told := <-first:
		return told, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Metrics are those of the edge with an id. Empty is one that takes new connections, and with it the queue process, where one
// answers, and what control itself knows.
func (e *edges) Metrics(ctx context.Context, id, accept string) (api.Exposition, error) {
	parts, err := e.keeper.Parts(ctx)
	if err != nil {
		return api.Exposition{}, err
	}
	i := slices.IndexFunc(parts, func(p keeper.Part) bool {
		return p.Kind == "edge" && p.PID != 0 && p.Ready && (p.ID == id || id == "" && !p.Draining)
	})
	if i < 0 {
		return api.Exposition{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no edge %q answers", id), Hint: "semper tree shows those there are"}
	}
	m, err := e.exposition(ctx, parts[i].Socket, accept)
	if err != nil || id != "" {
		return m, err
	}
	for _, p := range parts { // one at most takes requests
		if p.Kind != "queue" || p.PID == 0 || !p.Ready || p.Draining {
			continue
		}
		if q, err := e.exposition(ctx, p.Socket, accept); err == nil && q.ContentType == m.ContentType {
			m.Text = metrics.Join(m.Text, q.Text)
			break
		}
	}
	if e.scaled != nil {
		open := strings.HasPrefix(m.ContentType, "application/openmetrics-text")
		m.Text = metrics.Join(m.Text, metrics.Expose(open, scaleFamilies(e.scaled())...))
	}
	return m, nil
}

// exposition is the metrics of the part at socket, in the format that accept prefers.
func (e *edges) exposition(ctx context.Context, socket, accept string) (api.Exposition, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://part/metrics", nil)
	if err != nil {
		return api.Exposition{}, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := e.client(socket).Do(req)
	if err != nil {
		return api.Exposition{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("part at %s: %s", socket, resp.Status)
	}
	return api.Exposition{ContentType: resp.Header.Get("Content-Type"), Text: text}, err
}

// Arms is what every edge has counted of arms. What those have that answer is good without the others: counts are cumulative.
func (e *edges) Arms(ctx context.Context) ([]semper.ArmCounts, error) {
	answers, _, errs, err := asked[[]semper.ArmCounts](ctx, e, "/v1/arms")
	if err != nil {
		return nil, err
	}
	desks, _, silent, err := askedOf[[]semper.ArmCounts](ctx, e, "queue", "/v1/arms")
	return slices.Concat(slices.Concat(answers...), slices.Concat(desks...)), errors.Join(errors.Join(errs...), errors.Join(silent...), err)
}

// Shadows is what every edge has compared of copies of requests, as Arms.
func (e *edges) Shadows(ctx context.Context) ([]told.Counts, error) {
	answers, _, errs, err := asked[[]told.Counts](ctx, e, "/v1/shadows")
	if err != nil {
		return nil, err
	}
	return slices.Concat(answers...), errors.Join(errs...)
}

// Exposures are those after a Seq, of every edge. Those of an edge that does not answer come when it does.
func (e *edges) Exposures(ctx context.Context, after int64) ([]design.Exposures, error) {
	answers, _, errs, err := asked[design.Exposures](ctx, e, fmt.Sprintf("/v1/exposures?after=%d", after))
	if err != nil {
		return nil, err
	}
	return answers, errors.Join(errs...)
}

// trafficOf is a report in the words of the API.
func trafficOf(r metrics.Report) api.Traffic {
	t := api.Traffic{At: r.At, Rows: make([]api.TrafficRow, len(r.Rows))}
	latency := func(l metrics.Latency) api.TrafficLatency {
		return api.TrafficLatency{P50: l.P50, P95: l.P95, P99: l.P99}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		_, rest, _ := strings.Cut(row.Pool, "/") // as semper.NamePool makes it
		environment, service, _ := strings.Cut(rest, "/")
		t.Rows[i] = api.TrafficRow{
			App: row.App, Environment: environment, Service: service, Release: semper.ReleaseName(row.Release), Arm: semper.Arm(row.Arm), Route: row.Route,
			Rate1: row.Rate1, Rate10: row.Rate10, Rate60: row.Rate60, InFlight: row.InFlight, Status: api.TrafficStatuses(row.Status),
			Latency: latency(row.Latency), Upstream: latency(row.Upstream),
			Retries: row.Retries, Held: row.Held, Shed: row.Shed, UpstreamErrors: row.Failures,
		}
	}
	return t
}

// asked asks every edge that has said it is ready: the answers, and the errors, are in the order of the parts. An edge that is
// not ready accepts nothing yet.
func asked[T any](ctx context.Context, e *edges, path string) (answers []T, parts []keeper.Part, errs []error, err error) {
	return askedOf[T](ctx, e, "edge", path)
}

// askedOf is asked, of the parts of a kind.
func askedOf[T any](ctx context.Context, e *edges, kind, path string) (answers []T, parts []keeper.Part, errs []error, err error) {
	if parts, err = e.ready(ctx, kind); err != nil {
		return nil, nil, nil, err
	}
	answers, errs = make([]T, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { errs[i] = e.ask(ctx, p.Socket, path, &answers[i]) })
	}
	wg.Wait()
	return answers, parts, errs, nil
}

// ready are the parts of a kind that have said they are.
func (e *edges) ready(ctx context.Context, kind string) ([]keeper.Part, error) {
	parts, err := e.keeper.Parts(ctx)
	if err != nil {
		return nil, err
	}
	e.prune(parts)
	return slices.DeleteFunc(parts, func(p keeper.Part) bool { return p.Kind != kind || p.PID == 0 || !p.Ready }), nil
}

func (e *edges) ask(ctx context.Context, socket, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://edge"+path, nil)
	if err != nil {
		return err
	}
	resp, err := e.client(socket).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("edge at %s: %s", socket, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (e *edges) client(socket string) *http.Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.conns[socket]
	if c == nil {
		c = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}}
		e.conns[socket] = c
	}
	return c
}

// prune drops connections to edges that are gone.
func (e *edges) prune(alive []keeper.Part) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for socket, c := range e.conns {
		if !slices.ContainsFunc(alive, func(p keeper.Part) bool { return p.Socket == socket }) {
			c.CloseIdleConnections()
			delete(e.conns, socket)
		}
	}
}

// blobAdapter adds the comparison of two artifacts to the store of them.
type blobAdapter struct{ *blob.Store }

// Diff lists the files that differ.
func (b blobAdapter) Diff(ctx context.Context, x, y semper.Digest) ([]string, error) {
	before, err := b.files(ctx, x)
	if err != nil {
		return nil, err
	}
	after, err := b.files(ctx, y)
	if err != nil {
		return nil, err
	}
	var out []string
	for name, sum := range after {
		old, had := before[name]
		switch {
		case !had:
			out = append(out, "+ file "+name)
		case old != sum:
			out = append(out, "~ file "+name)
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			out = append(out, "- file "+name)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return compareAfter(a, b) })
	return out, nil
}

// files are an artifact's files by name, each with what makes it what it is.
func (b blobAdapter) files(ctx context.Context, d semper.Digest) (map[string]string, error) {
	r, _, err := b.Open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	out := make(map[string]string)
	tr := tar.NewReader(r)
	for ctx.Err() == nil {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("artifact %s: %w", d.Short(), err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, tr); err != nil {
			return nil, fmt.Errorf("artifact %s: %w", d.Short(), err)
		}
		out[h.Name] = fmt.Sprintf("%x %o %s", sum.Sum(nil), h.Mode, h.Linkname)
	}
	return nil, ctx.Err()
}

// compareAfter orders by what follows the mark.
func compareAfter(a, b string) int {
	switch {
	case a[2:] < b[2:]:
		return -1
	case a[2:] > b[2:]:
		return 1
	}
	return 0
}

// ledgers are the books edges keep in a directory.
type ledgers string

// Read reads every book.
func (dir ledgers) Read() ([]control.Book, error) {
	files, err := ledger.Read(string(dir))
	if err != nil {
		return nil, err
	}
	out := make([]control.Book, 0, len(files))
	for _, f := range files {
		out = append(out, control.Book{
			Name: filepath.Base(f.Path), EdgeID: f.EdgeID, PID: f.PID, Counts: keyed(f.Counts), Settled: keyed(f.Settle()),
		})
	}
	return out, nil
}

// Drop removes a book.
func (dir ledgers) Drop(b control.Book) error { return os.Remove(filepath.Join(string(dir), b.Name)) }

func keyed(m map[edge.Key]semper.Ledger) map[control.LedgerKey]semper.Ledger {
	out := make(map[control.LedgerKey]semper.Ledger, len(m))
	for k, l := range m {
		out[control.LedgerKey{App: k.App, Release: k.Release}] = l
	}
	return out
}
