package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"semper"
	"semper/edge/procid"
)

// File is one ledger as read from disk.
type File struct {
	Path       string
	EdgeID     string
	PID        int
	StartTicks uint64 // field 22 of /proc/PID/stat: with PID it names the edge's process for ever
	Counts     map[Key]semper.Ledger
}

// InFlight is what a ledger's numbers leave open: accepted and not ended yet.
func InFlight(l semper.Ledger) uint64 {
	ended := l.Served + l.AppErrors + l.EdgeErrors + l.Shed + l.Cut + l.Gone
	if ended > l.Accepted {
		return 0
	}
	return l.Accepted - ended
}

// Settle is Counts of a dead edge: what it accepted and never ended died with it, and counts as Cut.
// Of a living edge it would be too early.
func (f File) Settle() map[Key]semper.Ledger {
	out := make(map[Key]semper.Ledger, len(f.Counts))
	for k, l := range f.Counts {
		l.Cut += InFlight(l)
		out[k] = l
	}
	return out
}

// Alive reports whether the process that writes the file still runs.
func (f File) Alive() bool {
	ticks, err := procid.StartTicks(f.PID)
	return err == nil && ticks == f.StartTicks
}

// Read reads every ledger in dir, of living and dead edges, in name order. A file that is not a ledger,
// or is gone by the time it is read, is left out. A directory that does not exist has none.
func Read(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(escape(dir), "ledger-*.bin"))
	if err != nil {
		return nil, fmt.Errorf("read ledgers: %w", err)
	}
	var out []File
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("read ledgers: %w", err)
		}
		if f, ok := parse(b); ok {
			f.Path = path
			out = append(out, f)
		}
	}
	return out, nil
}

// escape makes dir stand for itself in a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
