package keeper

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"semper"
	"semper/api"
	"semper/internal/handoff"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/keeper/renew"
	"semper/keeper/wire"
)

const upgradeFile = "upgrade.json"

// beginUpgrade is [Client.Upgrade]; it returns the id of the upgrade that runs now.
func (k *keeper) beginUpgrade(binary string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopping {
		return "", &semper.Error{Code: semper.Unavailable, Op: "upgrade", Message: "semper is stopping"}
	}
	if !k.upgrade.Done() {
		return k.upgrade.ID, nil
	}
	if binary == "" {
		binary = k.o.Binary
	}
	if !filepath.IsAbs(binary) {
		return "", &semper.Error{Code: semper.Invalid, Op: "upgrade", Message: binary + " is not an absolute path"}
	}
	k.upgrade = wire.UpgradeLog{ID: mark.NewToken(), Begun: time.Now()}
	k.goBackground(func() {
		if err := k.replaceSelf(binary); err != nil {
			k.step(api.UpgradeStep{Part: "keeper", Status: "failed", Error: err.Error()})
			k.finishUpgrade(err)
		}
	})
	return k.upgrade.ID, nil
}

// replaceSelf goes on as the new binary, or returns why this one stays.
func (k *keeper) replaceSelf(binary string) error {
	k.step(api.UpgradeStep{Part: "keeper", Status: "checking", Detail: binary})
	path, err := renew.Copy(binary, k.dir.Bin())
	if err != nil {
		return err
	}
	version, err := renew.Version(k.life, path)
	if err != nil {
		return err
	}
	k.step(api.UpgradeStep{Part: "keeper", Status: "replacing", Detail: version})
	k.changeUpgrade(func(l *wire.UpgradeLog) { l.Binary, l.Pending = path, true })
	return k.become(path)
}

// become goes on as the binary at path. It returns only when that failed, and then nothing has changed.
func (k *keeper) become(path string) error {
	ear, err := handoff.FromConn("notify", k.notify)
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "upgrade", Err: err}
	}
	defer handoff.Close([]handoff.Socket{ear})
	// What is said from here on waits in the socket for the next keeper.
	if err := k.notify.Pause(); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "upgrade", Err: err}
	}
	<-k.hearing
	defer k.startHearing()
	defer k.notify.Continue() //nolint:errcheck // the socket is open
	k.journal.Flush()
	return renew.Become(path, append([]handoff.Socket{handoff.NewSocket("lock", k.held.FD()), ear, k.door}, k.sockets...))
}

// kept is what a keeper has from the one it was before exec.
type kept struct {
	lock    int
	notify  *handoff.Socket
	door    handoff.Socket
	sockets []handoff.Socket
}

func keptFromExec() (kept, error) {
	all, err := renew.Kept()
	var got kept
	for _, s := range all {
		switch s.Name {
		case "lock":
			got.lock = s.FD()
		case "notify":
			got.notify = &s
		case "keeper":
			got.door = s
		default:
			got.sockets = append(got.sockets, s)
		}
	}
	return got, err
}

// step adds a line to the upgrade's log. One goroutine at a time, the upgrade's, calls it.
func (k *keeper) step(s api.UpgradeStep) {
	k.log.Info("upgrade", "part", s.Part, "status", s.Status, "detail", s.Detail, "error", s.Error)
	k.changeUpgrade(func(l *wire.UpgradeLog) { l.Steps = append(slices.Clone(l.Steps), s) })
}

// changeUpgrade changes the upgrade's log, on disk before anyone sees it.
func (k *keeper) changeUpgrade(change func(*wire.UpgradeLog)) {
	k.mu.Lock()
	log := k.upgrade
	k.mu.Unlock()
	change(&log)
	written := make(chan struct{})
	k.journal.Do(func() {
		defer close(written)
		if err := journal.WriteJSON(k.dir.KeeperFile(upgradeFile), log, true); err != nil {
			k.log.Error("log of the upgrade not written", "error", err)
		}
	})
	<-written
	k.mu.Lock()
	defer k.mu.Unlock()
	k.upgrade = log
	k.changedLocked(nil)
}

// finishUpgrade ends the upgrade, and the log of it. A keeper that is ending leaves it to the next.
func (k *keeper) finishUpgrade(err error) {
	if k.life.Err() != nil {
		return
	}
	last := api.UpgradeStep{Part: "semper", Status: "done", Detail: "semper " + semper.Version}
	if err != nil {
		last = api.UpgradeStep{Part: "semper", Status: "failed", Error: err.Error()}
	} else {
		k.sweepBinaries()
	}
	k.log.Info("upgrade ended", "status", last.Status, "error", last.Error)
	k.changeUpgrade(func(l *wire.UpgradeLog) {
		l.Steps, l.Ended, l.Pending = append(slices.Clone(l.Steps), last), time.Now(), false
	})
}

// sweepBinaries removes copies nothing runs from.
func (k *keeper) sweepBinaries() {
	used := map[string]bool{k.o.Binary: true}
	k.mu.Lock()
	for _, m := range k.members {
		if m.rec.Part != nil {
			used[m.rec.Part.Binary] = true
		}
	}
	k.mu.Unlock()
	renew.Sweep(k.dir.Bin(), used)
}

// upgradeNews is the log of the newest upgrade; with after ≥ 0 only once it has more steps than that.
func (k *keeper) upgradeNews(ctx context.Context, id string, after int) wire.UpgradeLog {
	var log wire.UpgradeLog
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = k.await(ctx, func() bool { // without news the log as it is
		log = k.upgrade
		return after < 0 || log.ID != id || len(log.Steps) > after || log.Done()
	})
	return log
}
