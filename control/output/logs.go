package output

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/api"
)

// Machine reads files.
type Machine interface {
	// Tail is the newest lines of an output file; Follow sends each line after them until ctx ends.
	Tail(path string, lines int) ([]string, error)
	Follow(ctx context.Context, path string, tail int) (<-chan string, error)
	// Bytes sends all that is written from an offset on, and closes at the end of ctx, or once all is sent after the end of life.
	Bytes(ctx, life context.Context, path string, from int64) (<-chan Chunk, error)
}

// Chunk is a piece of a file.
type Chunk struct {
	Data []byte
	End  int64 // offset behind it
}

// A Reader serves who reads. It is safe for concurrent use.
type Reader struct {
	Machine Machine
	Log     *slog.Logger
	// Stream runs f beside the caller until ctx ends, or everything does. An error says that f was not called.
	Stream func(ctx context.Context, what string, f func(context.Context)) error
}

// Units are the instances known now.
type Units struct {
	All     []semper.InstanceStatus
	Changed <-chan struct{} // closed when there are others
}

// Only is the one environment named where something runs or has run, though nothing serves there yet: a gate does.
func (u Units) Only(app, env string) (e semper.Environment, only bool) {
	for _, in := range u.All {
		s := in.Spec
		if app != "" && s.App != app || env != "" && s.Environment != env {
			continue
		}
		if one := (semper.Environment{App: s.App, Name: s.Environment}); e.App == "" || e.Key() == one.Key() {
			e = one
			continue
		}
		return semper.Environment{}, false
	}
	return e, e.App != ""
}

// Logs sends the newest lines of every instance selected and, with Follow, the lines they print from then on, instances that start later
// included. q names its app and environment.
func (r Reader) Logs(ctx context.Context, q api.LogQuery, look func() Units) (<-chan api.LogLine, error) {
	q.Tail = cmp.Or(q.Tail, 100)
	out := make(chan api.LogLine)
	if err := r.Stream(ctx, "logs", func(ctx context.Context) { r.logs(ctx, q, look, out) }); err != nil {
		return nil, err
	}
	return out, nil
}

// logs owns out and every child that writes to it; it ends with ctx.
func (r Reader) logs(ctx context.Context, q api.LogQuery, look func() Units, out chan<- api.LogLine) {
	var wg sync.WaitGroup
	defer close(out)
	defer wg.Wait()
	following := make(map[string]bool)
	for first := true; ; first = false {
		units := look()
		for _, in := range selected(units.All, q) {
			for _, path := range files(in) {
				if following[path] {
					continue
				}
				following[path] = true
				if !q.Follow {
					r.tail(ctx, in, path, q.Tail, out)
					continue
				}
				tail := q.Tail
				if !first {
					tail = 1 << 20 // it is new: everything it printed
				}
				wg.Add(1)
				if r.Stream(ctx, "log of "+string(in.Spec.ID), func(ctx context.Context) {
					defer wg.Done()
					r.follow(ctx, in, path, tail, out)
				}) != nil {
					wg.Done() // the tree is ending, and ctx with it
				}
			}
		}
		if !q.Follow {
			return
		}
		select {
		case <-units.Changed:
		case <-ctx.Done():
			return
		}
	}
}

// files are where an instance prints to.
func files(in semper.InstanceStatus) []string {
	if in.Spec.Apart {
		return []string{in.LogPath, errorsOf(in.LogPath)}
	}
	return []string{in.LogPath}
}

// errorsOf is the file of standard error beside that of a unit's output: see [semper.InstanceSpec].Apart.
func errorsOf(path string) string { return path + ".err" }

func selected(all []semper.InstanceStatus, q api.LogQuery) []semper.InstanceStatus {
	var out []semper.InstanceStatus
	for _, in := range all {
		s := in.Spec
		switch {
		case s.App != q.App, s.Environment != q.Environment, q.Service != "" && s.Service != q.Service,
			q.Release != "" && string(s.Release) != q.Release,
			q.Instance != "" && string(s.ID) != q.Instance && !strings.HasSuffix(string(s.ID), "/"+q.Instance):
		default:
			out = append(out, in)
		}
	}
	slices.SortFunc(out, func(a, b semper.InstanceStatus) int {
		return cmp.Or(cmp.Compare(len(a.Spec.ID), len(b.Spec.ID)), cmp.Compare(a.Spec.ID, b.Spec.ID)) // web.r9.1 before web.r10.1
	})
	return out
}

func (r Reader) tail(ctx context.Context, in semper.InstanceStatus, path string, n int, out chan<- api.LogLine) {
	lines, err := r.Machine.Tail(path, n)
	if err != nil {
		r.Log.Warn("output not read", "instance", in.Spec.ID, "error", err)
	}
	for _, l := range lines {
		select {
		case out <- api.LogLine{Instance: in.Spec.ID, Release: in.Spec.Release, Line: l}:
		case <-ctx.Done():
			return
		}
	}
}

func (r Reader) follow(ctx context.Context, in semper.InstanceStatus, path string, n int, out chan<- api.LogLine) {
	lines, err := r.Machine.Follow(ctx, path, n)
	if err != nil {
		r.Log.Warn("output not followed", "instance", in.Spec.ID, "error", err)
		return
	}
	for l := range lines {
		select {
		case out <- api.LogLine{Instance: in.Spec.ID, Release: in.Spec.Release, Line: l}:
		case <-ctx.Done():
			return
		}
	}
}
