package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"semper"
	"semper/edge/ledger"
)

// Options say what an edge is made of.
type Options struct {
	ID      string         // "edge-1"; part of the ledger's file name
	Dir     string         // DIR/edge
	Log     *slog.Logger   // nil discards; requests are logged at debug level
	Trusted []netip.Prefix // peers whose X-Forwarded-* and X-Request-Id are believed
	TLS     *tls.Config    // for listeners served with TLS
}

// Key names a ledger entry.
type Key = ledger.Key

// LedgerFile is one edge's ledger as read from disk.
type LedgerFile = ledger.File

// ReadLedgers reads every ledger in dir (DIR/edge), of living and dead edges.
func ReadLedgers(dir string) ([]LedgerFile, error) { return ledger.Read(dir) }

// Edge is the data plane of one process.
type Edge struct{}

var errSkeleton = errors.New("not built yet")

func New(o Options) (*Edge, error)                                  { return nil, errSkeleton }
func (e *Edge) Apply(t semper.Table) error                          { return errSkeleton }
func (e *Edge) Serve(l net.Listener, useTLS bool) error             { return errSkeleton }
func (e *Edge) Epoch() semper.Epoch                                 { return 0 }
func (e *Edge) State() semper.EdgeState                             { return semper.EdgeState{} }
func (e *Edge) WaitEpoch(ctx context.Context, n semper.Epoch) error { return errSkeleton }
func (e *Edge) Drain(ctx context.Context) error                     { return errSkeleton }
func (e *Edge) Done() <-chan struct{}                               { return nil }
func (e *Edge) Close() error                                        { return nil }
func (e *Edge) Control() http.Handler                               { return nil }
