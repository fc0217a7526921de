package node

import (
	"context"

	"semper/store/etcd"
)

// Store is the store process: the embedded etcd of this machine.
func Store(ctx context.Context, o PartOptions) error {
	d := dirs(o.Dir)
	return etcd.Serve(ctx, etcd.ServeOptions{Dir: d.store(), Socket: d.storeSocket(), Log: o.Log, Ready: func() { ready(ctx, o.Log) }})
}
