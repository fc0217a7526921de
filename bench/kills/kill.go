package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"semper/bench/rig"
)

// A killer chooses what to kill, and does it.
type killer struct {
	server *rig.Server
	r      *rand.Rand
	done   map[string]int
}

// everything at once is the power cut of a machine whose disk does what it is told.
const everything = "everything"

// choose is what is killed next, and when. The keeper and everything are rare: all else waits for them.
func choose(r *rand.Rand, longest time.Duration) (what string, after time.Duration) {
	after = time.Duration(r.Int64N(int64(longest)))
	switch n := r.IntN(50); {
	case n == 0:
		return everything, after
	case n <= 2:
		return string(rig.Keeper), after
	}
	return string([]rig.Kind{rig.Store, rig.Control, rig.Edge, rig.Queue, rig.Instance}[r.IntN(5)]), after
}

// kill ends what, and starts again what nobody else would. It reports false when there was nothing to kill just now.
func (k *killer) kill(ctx context.Context, what string) (bool, error) {
	if what == everything {
		if err := k.server.KillAll(); err != nil {
			return false, err
		}
		k.done[what]++
		return true, k.server.Start(ctx)
	}
	all, err := k.server.Processes()
	if err != nil {
		return false, err
	}
	var pids []int
	for _, p := range all {
		if p.Kind == rig.Kind(what) {
			pids = append(pids, p.PID)
		}
	}
	if len(pids) == 0 { // it is on its way back
		return false, nil
	}
	pid := pids[k.r.IntN(len(pids))]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return false, nil //nolint:nilerr // it has just ended
	}
	k.done[what]++
	if what == string(rig.Keeper) {
		<-k.server.Ended()
		return true, k.server.Start(ctx)
	}
	return true, nil
}

func (k *killer) total() (n int) {
	for _, m := range k.done {
		n += m
	}
	return n
}

// spree kills until n more are dead.
func (k *killer) spree(ctx context.Context, n int, longest time.Duration) error {
	for misses := 0; n > 0; {
		what, after := choose(k.r, longest)
		if err := pass(ctx, after); err != nil {
			return err
		}
		hit, err := k.kill(ctx, what)
		if err != nil {
			return fmt.Errorf("after kill -9 of %s: %w", what, err)
		}
		if hit {
			n, misses = n-1, 0
		} else if misses++; misses > 100 {
			return fmt.Errorf("%s and others have not come back\n%s", what, k.server.Logs())
		}
	}
	return nil
}
