package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/keeper/journal"
	"semper/supervise"
)

// converge replaces every part that does not run as it would be started now, by the seven steps, and
// ends what is one too many of its kind. Control comes last: it is who tells people about the rest.
// It is idempotent, so a keeper that dies in it leaves the next one the same task.
func (k *keeper) converge(ctx context.Context, report func(api.UpgradeStep)) error {
	k.converging.Lock()
	defer k.converging.Unlock()
	var errs error
	for _, kind := range []string{kindStore, kindEdge, kindQueue, kindControl} {
		err := k.convergeKind(ctx, kind, report)
		if err != nil {
			report(api.UpgradeStep{Part: kind, Status: "failed", Error: err.Error()})
		}
		errs = errors.Join(errs, err)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errs
}

func (k *keeper) convergeKind(ctx context.Context, kind string, report func(api.UpgradeStep)) error {
	var fresh *member
	var old []*member
	for _, m := range k.partsOf(kind) {
		k.mu.Lock()
		outdated := k.outdatedLocked(m) || m.rec.Part.Draining
		k.mu.Unlock()
		switch {
		case outdated:
			old = append(old, m)
		case fresh == nil:
			fresh = m
		default:
			old, fresh = append(old, fresh), m
		}
	}
	if len(old) == 0 {
		return nil
	}
	if kind == kindStore {
		return k.renewStore(ctx, old[0], report)
	}
	return k.succeed(ctx, fresh, old, report)
}

// succeed has fresh (or a new part) take over from old.
func (k *keeper) succeed(ctx context.Context, fresh *member, old []*member, report func(api.UpgradeStep)) error {
	kind := old[0].rec.Part.Kind
	begun := fresh == nil
	if begun {
		fresh = k.newPart(kind)
		report(api.UpgradeStep{Part: kind, Status: "starting", Detail: fresh.rec.Name})
		if err := k.system.StartChild(ctx, k.spec(fresh)); err != nil {
			k.forget(fresh)
			return err
		}
	}
	if err := k.awaitReady(ctx, fresh); err != nil {
		if begun && ctx.Err() == nil {
			k.dismiss(ctx, fresh)
		}
		return fmt.Errorf("%s stays: %w", old[0].rec.Name, err)
	}
	report(api.UpgradeStep{Part: kind, Status: "ready", Detail: fmt.Sprintf("%s, pid %d", fresh.rec.Name, k.pidOf(fresh))})
	for _, m := range old {
		k.retire(m)
		report(api.UpgradeStep{Part: kind, Status: "draining", Detail: m.rec.Name})
		if kind == kindControl {
			// It may be the one that carries this report to a person: it ends when it has answered.
			k.goBackground(func() { k.dismiss(k.life, m) })
			continue
		}
		k.dismiss(ctx, m)
		report(api.UpgradeStep{Part: kind, Status: "ended", Detail: m.rec.Name})
	}
	return nil
}

// renewStore restarts the store: two of it cannot share its directory. Everybody who needs it waits.
func (k *keeper) renewStore(ctx context.Context, m *member, report func(api.UpgradeStep)) error {
	report(api.UpgradeStep{Part: kindStore, Status: "stopping", Detail: m.rec.Name})
	if err := k.system.TerminateChild(ctx, m.rec.Name); err != nil {
		return err
	}
	k.refresh(m)
	report(api.UpgradeStep{Part: kindStore, Status: "starting", Detail: m.rec.Name})
	if err := k.system.RestartChild(ctx, m.rec.Name); err != nil {
		return err
	}
	if err := k.awaitReady(ctx, m); err != nil {
		return err
	}
	report(api.UpgradeStep{Part: kindStore, Status: "ready", Detail: fmt.Sprintf("%s, pid %d", m.rec.Name, k.pidOf(m))})
	return nil
}

// awaitReady returns nil once m runs and has said it is ready.
func (k *keeper) awaitReady(ctx context.Context, m *member) error {
	within := cmp.Or(k.o.ReadyWithin, time.Minute)
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last *semper.End
	err := k.await(limited, func() bool {
		last = m.rec.LastEnd
		return m.cur != nil && m.cur.p != nil && m.rec.Notified
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case last != nil:
		return fmt.Errorf("%s was not ready within %v; it last ended with %s", m.rec.Name, within, last.Reason)
	}
	return fmt.Errorf("%s was not ready within %v", m.rec.Name, within)
}

func (k *keeper) pidOf(m *member) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return m.rec.Identity.PID
}

// retire writes down that a part is to finish what it has and end, whichever keeper sees to it.
func (k *keeper) retire(m *member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.rec.Part.Draining = true
	m.rec.Desired = journal.Stop
	k.leadLocked()
	k.saveLocked(m)
	k.changedLocked(m)
}

// dismiss ends a part and drops it. A part still there when ctx ends is left to the next keeper.
func (k *keeper) dismiss(ctx context.Context, m *member) {
	err := k.system.TerminateChild(ctx, m.rec.Name)
	if err == nil {
		err = k.system.DeleteChild(ctx, m.rec.Name)
	}
	if err != nil && !errors.Is(err, supervise.ErrNotFound) {
		k.log.Warn("part not ended", "part", m.rec.Name, "error", err)
		return
	}
	k.forget(m)
}

// settle finishes what an earlier keeper left undone. It runs once, beside everything else.
func (k *keeper) settle(ctx context.Context) {
	k.mu.Lock()
	unfinished, pending := !k.upgrade.Done(), k.upgrade.Pending
	k.mu.Unlock()
	switch {
	case unfinished && pending:
		k.step(api.UpgradeStep{Part: "keeper", Status: "replaced", Detail: "semper " + semper.Version})
		k.finishUpgrade(k.converge(ctx, k.step))
		return
	case unfinished:
		k.finishUpgrade(errors.New("the keeper ended before it had replaced itself; nothing was changed"))
	}
	err := k.converge(ctx, func(s api.UpgradeStep) {
		k.log.Info("replacing an outdated part", "part", s.Part, "status", s.Status, "detail", s.Detail)
	})
	if err != nil && ctx.Err() == nil {
		k.log.Error("parts not replaced", "error", err)
	}
}
