package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/api"
	"semper/internal/handoff"
	"semper/keeper/journal"
)

const (
	upgradeFile = "upgrade.json"
	// keptEnv tells a keeper that it replaced another in place, and which descriptors it was left.
	keptEnv = "SEMPER_KEEPER_KEPT"
	// versionWithin is how long a new binary may take to say its version.
	versionWithin = 20 * time.Second
)

// beginUpgrade is [Client.Upgrade]; it returns the id of the upgrade that runs now.
func (k *keeper) beginUpgrade(binary string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopping {
		return "", &semper.Error{Code: semper.Unavailable, Op: "upgrade", Message: "semper is stopping"}
	}
	if !k.upgrade.done() {
		return k.upgrade.ID, nil
	}
	if binary == "" {
		binary = k.o.Binary
	}
	if !filepath.IsAbs(binary) {
		return "", &semper.Error{Code: semper.Invalid, Op: "upgrade", Message: binary + " is not an absolute path"}
	}
	k.upgrade = upgradeLog{ID: newToken(), Begun: time.Now()}
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
	path, err := k.store(binary)
	if err != nil {
		return err
	}
	version, err := versionOf(k.life, path)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.upgrade.Binary, k.upgrade.Pending = path, true
	k.mu.Unlock()
	k.step(api.UpgradeStep{Part: "keeper", Status: "replacing", Detail: version})
	err = k.become(path)
	k.mu.Lock()
	k.upgrade.Pending = false
	k.mu.Unlock()
	return err
}

// store copies the binary to its place below DIR/bin, named by its digest.
func (k *keeper) store(binary string) (path string, err error) {
	in, err := os.Open(binary)
	if err != nil {
		return "", &semper.Error{Code: semper.Invalid, Op: "upgrade", Err: err, Hint: "give the path of a semper binary on this machine"}
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.CreateTemp(k.dir.Bin(), ".tmp-*")
	if err != nil {
		return "", &semper.Error{Code: diskCode(err), Op: "upgrade", Err: err}
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone already when all went well
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	path = filepath.Join(k.dir.Bin(), hex.EncodeToString(sum.Sum(nil)))
	if err = errors.Join(err, out.Chmod(0o755), out.Sync(), out.Close()); err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return "", &semper.Error{Code: diskCode(err), Op: "upgrade", Err: err}
	}
	return path, nil
}

// versionOf runs the binary to see that it runs at all.
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", &semper.Error{
			Code: semper.Invalid, Op: "upgrade", Message: "the binary does not run: " + first, Err: err,
			Hint: "give one that was built for this machine",
		}
	}
	return first, nil
}

// become executes path in place: same pid, same children, same sockets. It returns only when that
// failed, and then nothing has changed.
func (k *keeper) become(path string) error {
	files, err := k.notify.File()
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "upgrade", Err: err}
	}
	defer files.Close() //nolint:errcheck // a duplicate
	named := append([]handoff.Socket{
		handoff.NewSocket("lock", k.held.FD()), handoff.NewSocket("notify", rawFD(files)), k.door,
	}, k.sockets...)
	words := make([]string, len(named))
	for i, s := range named {
		words[i] = s.Name + "=" + strconv.Itoa(s.FD())
	}
	env := append(os.Environ(), keptEnv+"="+strings.Join(words, ","))
	// What is said from here on waits in the socket for the next keeper.
	if err := k.notify.Pause(); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "upgrade", Err: err}
	}
	<-k.hearing
	defer k.startHearing()
	defer k.notify.Continue() //nolint:errcheck // the socket is open
	k.journal.Flush()
	// No process may be started while the descriptors would leak into it.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	for _, s := range named {
		if _, err := unix.FcntlInt(uintptr(s.FD()), unix.F_SETFD, 0); err != nil {
			return &semper.Error{Code: semper.Internal, Op: "upgrade", Err: err}
		}
	}
	err = syscall.Exec(path, os.Args, env)
	for _, s := range named {
		unix.CloseOnExec(s.FD())
	}
	return &semper.Error{Code: semper.Internal, Op: "upgrade", Message: "the keeper could not replace itself", Err: err}
}

// rawFD is f's descriptor without the side effect of File.Fd, which would make the shared socket block.
func rawFD(f *os.File) int {
	fd := -1
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(p uintptr) { fd = int(p) }) // -1 fails where it is used
	}
	return fd
}

// kept is what a keeper has from the one it was before exec.
type kept struct {
	lock    int
	notify  *os.File
	door    handoff.Socket
	sockets []handoff.Socket
}

// fromEnv reads what was kept and removes it from the environment; nothing when this is a new process.
func fromEnv() (kept, error) {
	v := os.Getenv(keptEnv)
	if v == "" {
		return kept{}, nil
	}
	if err := os.Unsetenv(keptEnv); err != nil {
		return kept{}, err
	}
	var got kept
	for word := range strings.SplitSeq(v, ",") {
		name, number, _ := strings.Cut(word, "=")
		fd, err := strconv.Atoi(number)
		if err != nil {
			return kept{}, fmt.Errorf("%s: %q is not name=descriptor", keptEnv, word)
		}
		unix.CloseOnExec(fd)
		switch name {
		case "lock":
			got.lock = fd
		case "notify":
			got.notify = os.NewFile(uintptr(fd), name)
		case "keeper":
			got.door = handoff.NewSocket(name, fd)
		default:
			got.sockets = append(got.sockets, handoff.NewSocket(name, fd))
		}
	}
	return got, nil
}

// step adds a line to the upgrade's log, on disk before anyone sees it.
func (k *keeper) step(s api.UpgradeStep) {
	k.mu.Lock()
	k.upgrade.Steps = append(k.upgrade.Steps[:len(k.upgrade.Steps):len(k.upgrade.Steps)], s)
	log := k.upgrade
	k.mu.Unlock()
	k.log.Info("upgrade", "part", s.Part, "status", s.Status, "detail", s.Detail, "error", s.Error)
	k.saveUpgrade(log)
}

func (k *keeper) saveUpgrade(log upgradeLog) {
	done := make(chan struct{})
	k.journal.Do(func() {
		defer close(done)
		if err := journal.WriteJSON(k.dir.KeeperFile(upgradeFile), log, true); err != nil {
			k.log.Error("log of the upgrade not written", "error", err)
		}
	})
	<-done
	k.mu.Lock()
	k.changedLocked(nil)
	k.mu.Unlock()
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
	k.mu.Lock()
	k.upgrade.Ended, k.upgrade.Pending = time.Now(), false
	k.mu.Unlock()
	k.step(last)
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
	entries, _ := os.ReadDir(k.dir.Bin())
	for _, e := range entries {
		if path := filepath.Join(k.dir.Bin(), e.Name()); !used[path] {
			_ = os.Remove(path) // tried again after the next upgrade
		}
	}
}

// upgradeNews is the log of the newest upgrade; with after ≥ 0 only once it has more steps than that.
func (k *keeper) upgradeNews(ctx context.Context, id string, after int) upgradeLog {
	var log upgradeLog
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = k.await(ctx, func() bool { // without news the log as it is
		log = k.upgrade
		return after < 0 || log.ID != id || len(log.Steps) > after || log.done()
	})
	return log
}
