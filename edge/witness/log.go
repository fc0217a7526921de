package witness

import (
	"context"

	"semper/edge/accesslog"
	"semper/edge/metrics"
)

// OpenLog opens what o names, for LogTo: its path or writer, format and size. Without a path and a writer it is nil, which is no
// log.
func (w *Witness) OpenLog(o accesslog.Options) (*accesslog.Target, error) {
	if o.Path == "" && o.Writer == nil {
		return nil, nil //nolint:nilnil // no log is no fault
	}
	if o.Failed == nil {
		o.Failed = w.logs.Failed
	}
	return accesslog.OpenTarget(o)
}

// LogTo has the requests that end from now on logged to t, which belongs to the witness then; nil is nowhere. Those that have
// ended are logged as before. Of those that began while there was no log nothing is known to make a line of. The error is that of
// the end of the target before: t is in force.
func (w *Witness) LogTo(t *accesslog.Target) error {
	w.logging.Lock()
	defer w.logging.Unlock()
	l := w.log.Load()
	switch {
	case t == nil && l == nil:
		return nil
	case t == nil:
		w.lines(nil)
		return l.To(accesslog.Nowhere())
	case l == nil:
		var err error
		if l, err = accesslog.Begin(w.logs, t); err != nil {
			return err
		}
		if err := w.registry.Register(metrics.AccessLogFamily(func() (written, dropped, lost uint64) {
			s := l.Stats()
			return s.Written, s.Dropped, s.Lost
		})); err != nil {
			return err
		}
		w.log.Store(l)
		close(w.logged)
		w.lines(l)
		return nil
	}
	err := l.To(t)
	w.lines(l)
	return err
}

// lines gives each shard its way to l; nil: none. A shard that had one has the same again.
func (w *Witness) lines(l *accesslog.Log) {
	var shared *accesslog.Shared
	for _, s := range w.loops {
		if l != nil && s.kept == nil {
			s.kept = l.Ring()
		}
		s.ring.Store(nil)
		if l != nil {
			s.ring.Store(s.kept)
		}
	}
	if l != nil {
		if w.keptShared == nil {
			w.keptShared = l.Shared()
		}
		shared = w.keptShared
	}
	for _, s := range w.shared {
		s.lines.Store(shared)
	}
}

// ServeLog writes the access log until ctx ends or the witness is closed, as [accesslog.Log.Serve] does. Without a log it waits
// for one.
func (w *Witness) ServeLog(ctx context.Context) error {
	select {
	case <-w.logged:
		return w.log.Load().Serve(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reopen opens the access log's path anew, for whoever has renamed the file.
func (w *Witness) Reopen() error {
	if l := w.log.Load(); l != nil {
		return l.Reopen()
	}
	return nil
}

// Close writes what is logged so far. Requests that end later are counted and not logged.
func (w *Witness) Close() error {
	w.logging.Lock()
	defer w.logging.Unlock()
	if l := w.log.Load(); l != nil {
		return l.Close()
	}
	return nil
}
