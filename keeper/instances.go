package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/keeper/allot"
	"semper/keeper/datadir"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/supervise"
	"semper/unit/process"
)

// startInstance is [Client.Start].
func (k *keeper) startInstance(spec semper.InstanceSpec) (semper.InstanceStatus, error) {
	spec.Spec = semper.Spec{Services: map[string]semper.Service{"": spec.Spec}}.WithDefaults().Services[""]
	if err := allot.Check(spec); err != nil {
		return semper.InstanceStatus{}, err
	}
	m, known, err := k.enrol(spec)
	if err != nil {
		return semper.InstanceStatus{}, err
	}
	defer m.op.Unlock()
	if !known {
		if err := k.begin(m); err != nil {
			k.release(m)
			k.forget(m)
			return semper.InstanceStatus{}, err
		}
		k.journal.Flush() // what the caller hears of, the next keeper knows
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return m.statusLocked(k), nil
}

// enrol is the member for spec with its op locked, and whether it was there already.
func (k *keeper) enrol(spec semper.InstanceSpec) (m *member, known bool, err error) {
	k.mu.Lock()
	m = k.members[string(spec.ID)]
	if m == nil {
		if k.stopping {
			k.mu.Unlock()
			return nil, false, &semper.Error{Code: semper.Unavailable, Op: "start " + string(spec.ID), Message: "semper is stopping"}
		}
		m = &member{state: semper.Starting, rec: journal.Record{
			Name: string(spec.ID), Desired: journal.Run, Token: mark.NewToken(),
			Instance: &journal.Instance{Spec: spec, UID: -1, GID: -1},
		}}
		m.limit = limitOf(m.rec)
		m.op.Lock() // nobody else can know it yet
		k.addLocked(m)
		k.mu.Unlock()
		return m, false, nil
	}
	same := m.rec.Instance != nil && allot.Equal(m.rec.Instance.Spec, spec)
	k.mu.Unlock()
	if !same {
		return nil, false, &semper.Error{
			Code: semper.Conflict, Op: "start " + string(spec.ID), Message: "an instance of this id and a different spec exists",
		}
	}
	m.op.Lock() // wait for a start under way
	k.mu.Lock()
	gone := m.gone
	k.mu.Unlock()
	if gone {
		m.op.Unlock()
		return k.enrol(spec)
	}
	return m, true, nil
}

// begin gives a new instance what it needs, journals it, and has it started. Its op is locked.
func (k *keeper) begin(m *member) error {
	in := m.rec.Instance
	spec := in.Spec
	port, socket := 0, ""
	switch spec.Spec.Listen {
	case semper.ListenPort:
		n, err := k.ports.Take(m.rec.Name)
		if err != nil {
			return err
		}
		port = n
	case semper.ListenSocket:
		socket = k.dir.InstanceSocketDir(spec.ID) + "/sock"
	}
	k.mu.Lock()
	in.Port, in.Socket = port, socket
	k.mu.Unlock()
	if err := os.MkdirAll(k.dir.Instance(spec.ID), 0o711); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "start " + m.rec.Name, Err: err}
	}
	// Unpacked before the user is chosen: whether that one can reach the tree decides.
	if err := k.unpack(k.life, spec.Artifact); err != nil {
		k.log.Warn("artifact not unpacked", "what", m.rec.Name, "error", err) // its start will say so
	}
	if err := k.rooms(spec.ID).Make(nil); err != nil {
		return err
	}
	runner, err := k.users.Choose(spec, k.blobs.Tree(spec.Artifact), k.rooms(spec.ID))
	if err != nil {
		return err
	}
	k.mu.Lock()
	if runner.Credential != nil {
		in.UID, in.GID, in.Groups = runner.Credential.UID, runner.Credential.GID, runner.Credential.Groups
	}
	in.Warning = runner.Warning
	rec := m.copyLocked()
	m.bounder = k.bound(rec)
	k.mu.Unlock()
	if err := k.journal.PutSync(rec); err != nil {
		return &semper.Error{Code: allot.DiskCode(err), Op: "start " + m.rec.Name, Message: "it cannot be journaled", Err: err}
	}
	return k.supervise(k.life, m)
}

// rooms are the directories an instance may write in.
func (k *keeper) rooms(id semper.InstanceID) allot.Rooms {
	return allot.Rooms{Scratch: k.dir.Scratch(id), Socket: k.dir.InstanceSocketDir(id)}
}

// unpack makes sure the artifact's tree is there.
func (k *keeper) unpack(ctx context.Context, d semper.Digest) error {
	if _, err := os.Stat(k.blobs.Tree(d)); err == nil {
		return nil
	}
	_, err := k.blobs.Unpack(ctx, d)
	return err
}

// instanceOptions is how to run the next incarnation of an instance.
func (k *keeper) instanceOptions(ctx context.Context, m *member) (process.Options, error) {
	k.mu.Lock()
	in := *m.rec.Instance
	k.mu.Unlock()
	spec := in.Spec
	if err := tooLate(spec, time.Now()); err != nil {
		return process.Options{}, err
	}
	if err := k.unpack(ctx, spec.Artifact); err != nil {
		return process.Options{}, err
	}
	if err := k.blobs.Verify(ctx, spec.Artifact); err != nil {
		return process.Options{}, err
	}
	o, err := k.besideInstance(in)
	if err != nil {
		return o, err
	}
	if err := k.rooms(spec.ID).Make(o.Credential); err != nil {
		return o, err
	}
	if in.Socket != "" {
		if err := os.Remove(in.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, &semper.Error{Code: semper.Internal, Op: "prepare " + m.rec.Name, Err: err}
		}
	}
	o.Argv = spec.Spec.Command
	o.Output = k.dir.InstanceLog(spec.ID)
	if spec.Apart {
		o.Errors = k.dir.InstanceErrors(spec.ID)
	}
	o.Limits = spec.Spec.Limits
	o.Cgroup = datadir.FileName(string(spec.ID)) + "." + k.held.Marker.ID
	o.StopSignal = unix.SignalNum(spec.Spec.Stop.Signal)
	return o, nil
}

// besideInstance is what everything that runs as the instance has in common: its user, directory and
// environment.
func (k *keeper) besideInstance(in journal.Instance) (process.Options, error) {
	spec := in.Spec
	secrets, err := allot.ReadSecrets(k.dir.Secrets(), spec.App, spec.Spec.Env)
	if err != nil {
		return process.Options{}, err
	}
	tree := k.blobs.Tree(spec.Artifact)
	grant := allot.Grant{
		Spec: spec, Port: in.Port, Socket: in.Socket, Scratch: k.dir.Scratch(spec.ID), Notify: k.dir.NotifySocket(), Tree: k.dir.TreeSocket(), Jobs: k.dir.JobsSocket(),
		Secrets: secrets, Path: os.Getenv("PATH"), Lang: os.Getenv("LANG"),
	}
	o := process.Options{
		Name: string(spec.ID), Dir: tree, Env: grant.Environ(), NoNewPrivs: true, ReadOnly: []string{tree}, Reaper: k.reaper,
	}
	if in.UID >= 0 {
		o.Credential = &process.Credential{UID: in.UID, GID: in.GID, Groups: slices.Clone(in.Groups)}
	}
	return o, nil
}

// stopInstance is [Client.Stop].
func (k *keeper) stopInstance(id semper.InstanceID, why string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[string(id)]
	if m == nil || m.rec.Instance == nil || m.rec.Desired == journal.Stop {
		return nil
	}
	k.log.Info("stopping", "what", m.rec.Name, "why", why)
	m.rec.Desired = journal.Stop
	if m.state != semper.Ended {
		m.state = semper.Stopping
		k.goBackground(func() { k.end(m) })
	}
	k.saveLocked(m)
	k.changedLocked(m)
	return nil
}

// end carries a stop out, whether or not whoever asked is still there. A keeper that is ending leaves
// it to the next one.
func (k *keeper) end(m *member) {
	m.op.Lock()
	defer m.op.Unlock()
	if err := k.unsupervise(m); err != nil {
		k.log.Warn("instance not ended", "what", m.rec.Name, "error", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m.rec.Ended = true
	if m.state != semper.Ended {
		m.state = semper.Ended
		k.changedLocked(m)
	}
	k.saveLocked(m)
}

// unsupervise ends m's process, if one runs, and takes m from its supervisor.
func (k *keeper) unsupervise(m *member) error {
	k.groupMu.Lock()
	g := k.groups[m.limit.Name]
	k.groupMu.Unlock()
	if g == nil {
		return nil
	}
	err := g.sup.TerminateChild(k.life, m.rec.Name)
	if err == nil {
		err = g.sup.DeleteChild(k.life, m.rec.Name)
	}
	if err != nil && !errors.Is(err, supervise.ErrNotFound) {
		return err
	}
	k.prune(k.life, m)
	return nil
}

// forgetInstance is [Client.Forget].
func (k *keeper) forgetInstance(id semper.InstanceID) error {
	k.mu.Lock()
	m := k.members[string(id)]
	k.mu.Unlock()
	if m == nil || m.rec.Instance == nil {
		return nil
	}
	m.op.Lock()
	defer m.op.Unlock()
	k.mu.Lock()
	ended, gone := m.state == semper.Ended, m.gone
	k.mu.Unlock()
	switch {
	case gone:
		return nil
	case !ended:
		return &semper.Error{Code: semper.Conflict, Op: "forget " + string(id), Message: "it has not ended", Hint: "stop it first"}
	}
	if err := k.unsupervise(m); err != nil {
		return &semper.Error{Code: semper.Unavailable, Op: "forget " + string(id), Err: err}
	}
	k.release(m)
	k.forget(m)
	return nil
}

// release gives back what an instance was given.
func (k *keeper) release(m *member) {
	k.mu.Lock()
	in, bounder := *m.rec.Instance, m.bounder
	m.bounder = nil
	k.mu.Unlock()
	bounder.Close()
	if in.Port != 0 {
		k.ports.Release(in.Port, m.rec.Name)
	}
	for _, dir := range []string{k.dir.Instance(in.Spec.ID), k.dir.InstanceSocketDir(in.Spec.ID)} {
		if err := os.RemoveAll(dir); err != nil {
			k.log.Error("directory of a forgotten instance not removed", "dir", dir, "error", err)
		}
	}
}

// forget drops m from everything but its supervisor, where it is not any more.
func (k *keeper) forget(m *member) {
	k.mu.Lock()
	k.dropLocked(m)
	bounder := m.bounder
	m.bounder = nil
	k.mu.Unlock()
	bounder.Close()
	if err := k.journal.Remove(m.rec.Name); err != nil {
		k.log.Error("journal record not removed", "what", m.rec.Name, "error", err)
	}
}

// killInstance is [Client.Kill].
func (k *keeper) killInstance(id semper.InstanceID, r semper.Reason) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[string(id)]
	if m == nil || m.rec.Instance == nil || m.cur == nil || m.cur.p == nil {
		return &semper.Error{Code: semper.NotFound, Op: "kill " + string(id), Message: "no such instance runs"}
	}
	if r.Kind == "" {
		r.Kind = semper.ReasonHealth
	}
	k.log.Warn("killing", "what", m.rec.Name, "pid", m.rec.Identity.PID, "reason", r.String())
	m.cur.p.KillFor(r)
	return nil
}

// signalInstance is [Client.Signal].
func (k *keeper) signalInstance(id semper.InstanceID, name string) error {
	op := "signal " + string(id)
	sig := unix.SignalNum(name)
	if sig == 0 {
		return &semper.Error{Code: semper.Invalid, Op: op, Message: fmt.Sprintf("%q is no signal", name)}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[string(id)]
	if m == nil || m.rec.Instance == nil || m.cur == nil || m.cur.p == nil {
		return &semper.Error{Code: semper.NotFound, Op: op, Message: "no such instance runs"}
	}
	return m.cur.p.Signal(sig)
}
