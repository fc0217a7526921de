package node

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"semper"
	"semper/edge"
	"semper/internal/handoff"
	"semper/store/etcd"
)

// Edge is an edge process. It serves by the last route table on disk at once and follows the store
// from then on; the end of ctx drains it.
func Edge(ctx context.Context, o PartOptions) error {
	d := dirs(o.Dir)
	listeners, sockets, err := handoff.Listeners()
	if err != nil {
		return err
	}
	certs, err := certificates(d.tls())
	if err != nil {
		return err
	}
	e, err := edge.New(edge.Options{ID: o.ID, Dir: d.edge(), Log: o.Log, TLS: certs})
	if err != nil {
		return err
	}
	defer offer(ctx, o, sockets)()
	end, err := answer(o, e.Control())
	if err != nil {
		return errors.Join(err, e.Close())
	}
	defer end()

	follow, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	caught := make(chan struct{})
	wg.Go(func() { followTable(follow, d, e, o, caught) })
	// A fresh start waits a moment for the store's table, so that an old one from disk is not served
	// when a newer one is at hand; without a store the old one is what there is.
	select {
	case <-caught:
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	// Ready before the first accept: whoever waits for every edge's acknowledgement counts this one from here on.
	ready(ctx, o.Log)
	served := make(chan error, len(sockets))
	for name, ls := range listeners {
		for _, l := range ls {
			wg.Go(func() { served <- e.Serve(l, name == "https") })
		}
	}
	select {
	case <-ctx.Done():
	case <-e.Done(): // asked through the control socket
		return e.Close()
	case err := <-served:
		if err != nil {
			return errors.Join(err, e.Close())
		}
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := e.Drain(drain); err != nil {
		o.Log.Warn("drained in part", "error", err)
	}
	return e.Close()
}

// drainTimeout bounds the life of an edge that was told to end: what its own drain deadlines allow at most.
const drainTimeout = 10 * time.Minute

// followTable applies each new route table; caught is closed at the first.
func followTable(ctx context.Context, d dirs, e *edge.Edge, o PartOptions, caught chan struct{}) {
	s, err := etcd.Open(ctx, d.storeSocket(), etcd.Options{})
	if err != nil {
		o.Log.Error("the store's client cannot be made; serving by the last route table", "error", err)
		return
	}
	defer s.Close() //nolint:errcheck // nothing was written
	var once sync.Once
	again(ctx, 50*time.Millisecond, func(ctx context.Context) {
		items, rev, err := s.List(ctx, tableKey)
		if err != nil {
			o.Log.Debug("store away; serving by the last route table", "error", err)
			return
		}
		for _, it := range items {
			apply(e, it, o)
		}
		once.Do(func() { close(caught) })
		ch, err := s.Watch(ctx, tableKey, rev)
		if err != nil {
			return
		}
		for batch := range ch {
			for _, c := range batch {
				if !c.Deleted {
					apply(e, c.Item, o)
				}
			}
		}
	})
}

const tableKey = "table"

func apply(e *edge.Edge, it semper.Item, o PartOptions) {
	if it.Key != tableKey {
		return
	}
	var t semper.Table
	err := json.Unmarshal(it.Value, &t)
	if err == nil {
		err = e.Apply(t)
	}
	if err != nil {
		o.Log.Error("route table refused; serving by the one before", "epoch", t.Epoch, "error", err)
	}
}
