package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"semper/edge/conformance"
	"semper/edge/conformance/traffic"
)

// compare plays valid traffic through the target and through net/http. It returns the exit status.
func (o *options) compare(ctx context.Context, out io.Writer) (code int, err error) {
	if o.target.Plain == "" || o.target.Host != traffic.Host {
		return 2, fmt.Errorf("-exchanges wants the proxy's -addr, and that it routes the host %s", traffic.Host)
	}
	own, err := conformance.Record("tcp", "127.0.0.1:0")
	if err != nil {
		return 2, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	addr, end, err := traffic.Reference(own.Addr())
	if err != nil {
		return 2, fmt.Errorf("run the proxy to compare with: %w", err)
	}
	defer func() { err = errors.Join(err, end()) }()
	proxy, reference := traffic.NewSide("the proxy", o.target.Plain, o.target.Backend), traffic.NewSide("net/http", addr, own)
	played, different, err := traffic.Compare(ctx, proxy, reference, o.seed, o.exchanges, workers)
	for _, d := range different {
		fmt.Fprintln(out, d)
	}
	late := 0
	for _, side := range []*traffic.Side{proxy, reference} {
		ids := side.Late()
		late += len(ids)
		for _, id := range ids {
			fmt.Fprintf(out, "%s: exchange %s was cut short by the client, and reached the backend whole\n", side.Name, id)
		}
	}
	if err != nil {
		return 2, fmt.Errorf("interrupted after %d exchanges: %w", played, err)
	}
	fmt.Fprintf(out, "%d exchanges played, %d differ (the first %d at most are shown)\n", played, len(different)+late, traffic.MaxDifferences)
	if len(different)+late > 0 {
		return 1, nil
	}
	return 0, nil
}

// workers play sessions at the same time.
const workers = 8
