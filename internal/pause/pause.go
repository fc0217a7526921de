package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends, and reports whether it was d: whether there is a reason to go on. It is safe for concurrent use.
func For(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
