package node

import (
	"context"
	"encoding/json"
	"time"

	"semper"
	"semper/store/etcd"
)

const (
	tableKey = "table"
	// tableWait is how long a fresh start waits for the store's table, so that an old one from disk is not served when a
	// newer one is at hand; without a store the old one is what there is.
	tableWait = 2 * time.Second
)

// follow applies each new route table. It is ready at the first, or when there was none within tableWait, or when the
// edge is to drain.
func (p *plane) follow(ctx context.Context, ready func()) error {
	late := time.AfterFunc(tableWait, ready)
	defer late.Stop()
	defer context.AfterFunc(p.ctx, ready)()
	s, err := etcd.Open(ctx, p.dirs.storeSocket(), etcd.Options{})
	if err != nil {
		ready() // serving by the last route table
		return err
	}
	defer s.Close() //nolint:errcheck // nothing was written
	again(ctx, 50*time.Millisecond, func(ctx context.Context) {
		items, rev, err := s.List(ctx, tableKey)
		if err != nil {
			p.o.Log.Debug("store away; serving by the last route table", "error", err)
			return
		}
		for _, it := range items {
			p.apply(it)
		}
		ready()
		ch, err := s.Watch(ctx, tableKey, rev)
		if err != nil {
			return
		}
		for batch := range ch {
			for _, c := range batch {
				if !c.Deleted {
					p.apply(c.Item)
				}
			}
		}
	})
	return ctx.Err()
}

func (p *plane) apply(it semper.Item) {
	if it.Key != tableKey {
		return
	}
	var t semper.Table
	err := json.Unmarshal(it.Value, &t)
	if err == nil {
		withQueue(&t, p.dirs)
		p.certs.expect(t)
		if err = p.edge.Apply(t); err == nil {
			p.certs.serve(t)
		}
	}
	if err != nil {
		p.o.Log.Error("route table refused; serving by the one before", "epoch", t.Epoch, "error", err)
	}
}
