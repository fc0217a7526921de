package keeper

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/internal/handoff"
	"semper/keeper/allot"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/keeper/sockets"
	"semper/keeper/wire"
	"semper/supervise"
	"semper/unit/process"
)

// The kinds of part, and their order: of starting, and of being replaced.
const (
	kindStore   = "store"
	kindControl = "control"
	kindQueue   = "queue"
	kindEdge    = "edge"
)

// kinds are all of them, in the order of starting.
var kinds = []string{kindStore, kindControl, kindQueue, kindEdge}

// partLog is how much of a part's own output is kept.
const partLog = 16 << 20

// partShutdown is how long a part may take to end. An edge ends when what it carries has ended; its own
// drain deadlines come long before this one.
func partShutdown(kind string) time.Duration {
	if kind == kindEdge {
		return 11 * time.Minute
	}
	return 15 * time.Second
}

// systemSpecs are all parts in the order of starting; a kind that has none yet gets one.
func (k *keeper) systemSpecs() (specs []supervise.ChildSpec) {
	for _, kind := range kinds {
		of := k.partsOf(kind)
		if len(of) == 0 {
			of = append(of, k.newPart(kind))
		}
		for _, m := range of {
			k.refresh(m)
			specs = append(specs, k.spec(m))
		}
	}
	return specs
}

// parts are all there are, in the order of starting and then of age.
func (k *keeper) parts() []*member {
	var all []*member
	for _, kind := range kinds {
		all = append(all, k.partsOf(kind)...)
	}
	return all
}

func (k *keeper) partsOf(kind string) []*member {
	k.mu.Lock()
	defer k.mu.Unlock()
	var of []*member
	for _, m := range k.members {
		if m.rec.Part != nil && m.rec.Part.Kind == kind {
			of = append(of, m)
		}
	}
	slices.SortFunc(of, func(a, b *member) int {
		return older(a.rec.Name, b.rec.Name)
	})
	return of
}

// older compares two parts of a kind by their names, which end with numbers: below 0 if a is the older one.
func older(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// newPart makes a part known under the next number of its kind, which no other ever had.
func (k *keeper) newPart(kind string) *member {
	k.mu.Lock()
	name := kind
	if kind != kindStore {
		k.numbers[kind]++
		name = fmt.Sprintf("%s-%d", kind, k.numbers[kind])
		numbers := maps.Clone(k.numbers)
		k.journal.Do(func() {
			if err := journal.WriteJSON(k.dir.KeeperFile("numbers.json"), numbers, true); err != nil {
				k.log.Error("numbers of parts not written", "error", err)
			}
		})
	}
	m := &member{state: semper.Starting, rec: journal.Record{
		Name: name, Desired: journal.Run, Token: mark.NewToken(), Part: &journal.Part{Kind: kind},
	}}
	if kind == kindEdge {
		m.rec.Part.Slot = k.slotLocked(k.numbers[kind])
	}
	m.limit = limitOf(m.rec)
	k.addLocked(m)
	k.mu.Unlock()
	k.refresh(m)
	k.mu.Lock()
	rec := m.copyLocked()
	m.bounder = k.bound(rec)
	k.mu.Unlock()
	if err := k.journal.PutSync(rec); err != nil {
		k.log.Error("part not journaled", "part", name, "error", err)
	}
	return m
}

// refresh has a part that does not run start from the binary and with the sockets there are now.
func (k *keeper) refresh(m *member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.cur != nil {
		return
	}
	p := m.rec.Part
	p.Binary, p.Version, p.Build = k.o.Binary, semper.Version, k.build
	p.Listeners, p.Args = sockets.Key(k.socketsOf(p.Kind)), k.argsOf(p.Kind)
}

// outdatedLocked tells whether a part does not run as it would be started now.
func (k *keeper) outdatedLocked(m *member) bool {
	p := m.rec.Part
	return p.Build != k.build || p.Listeners != sockets.Key(k.socketsOf(p.Kind)) || !slices.Equal(p.Args, k.argsOf(p.Kind))
}

// argsOf are the arguments that a kind of part gets as it would be started now.
func (k *keeper) argsOf(kind string) []string {
	if kind == kindEdge {
		return k.o.EdgeArgs
	}
	return nil
}

// socketsOf are the sockets a kind of part gets.
func (k *keeper) socketsOf(kind string) []handoff.Socket {
	names := map[string][]string{kindEdge: {"http", "https"}, kindControl: {"api", "apitcp"}, kindQueue: {"queue", "jobs"}}[kind]
	listeners, udp := sockets.Apart(k.sockets)
	var of []handoff.Socket
	for _, s := range listeners {
		if slices.Contains(names, s.Name) {
			of = append(of, s)
		}
	}
	if kind == kindEdge {
		of = append(of, udp...)
	}
	return of
}

// partOptions is how to run the next incarnation of a part.
func (k *keeper) partOptions(m *member) (process.Options, error) {
	k.mu.Lock()
	p := *m.rec.Part
	k.mu.Unlock()
	o := process.Options{
		Name:   "semper " + m.rec.Name,
		Argv:   append([]string{"semper", p.Kind, "--data", string(k.dir), "--id", m.rec.Name}, p.Args...),
		Exe:    p.Binary,
		Dir:    string(k.dir),
		Output: k.dir.PartLog(m.rec.Name),
	}
	if _, err := os.Stat(p.Binary); err != nil {
		o.Exe = "/proc/self/exe" // the keeper's own file, which runs and so still exists
	}
	o.Env = allot.PartEnviron(p.Kind, k.dir.NotifySocket(), k.dir.TreeSocket(), os.Environ())
	of := k.socketsOf(p.Kind)
	if _, udp := sockets.Apart(of); len(udp) > 0 {
		o.Argv = append(o.Argv, "--http3-slot", strconv.Itoa(p.Slot))
	}
	if len(of) > 0 {
		o.Env = append(o.Env, handoff.Environ(of, 3))
	}
	for _, s := range of {
		f, err := s.File()
		if err != nil {
			closeFiles(o.ExtraFiles)
			return process.Options{}, &semper.Error{Code: semper.Internal, Op: "start " + m.rec.Name, Err: err}
		}
		o.ExtraFiles = append(o.ExtraFiles, f)
	}
	return o, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a duplicate of a listening socket
	}
}

// drainEdge asks an edge to finish what it has and end: through its own socket, because a signal
// that comes too early would find nobody who knows it.
func (k *keeper) drainEdge(id string, c *incarnation) {
	k.goBackground(func() {
		ctx, cancel := context.WithCancel(k.life)
		defer cancel()
		k.goBackground(func() {
			select {
			case <-c.p.Exited():
				cancel()
			case <-ctx.Done():
			}
		})
		if err := wire.Post(ctx, k.dir.PartSocket(id), "/v1/drain"); err != nil && ctx.Err() == nil {
			k.log.Warn("edge not drained through its socket; signalled", "edge", id, "error", err)
			c.p.Shutdown()
		}
	})
}

// self is the keeper as a part.
func (k *keeper) self() Part {
	s, _ := mark.ReadStat(os.Getpid())
	return Part{
		Kind: "keeper", ID: "keeper", PID: os.Getpid(), Socket: k.dir.KeeperSocket(), Ready: true, Binary: k.o.Binary,
		Version: semper.Version, StartedAt: mark.StartTime(s.Start),
	}
}

// listParts is [Client.Parts].
func (k *keeper) listParts() []Part {
	list := []Part{k.self()}
	for _, m := range k.parts() {
		k.mu.Lock()
		p := Part{
			Kind: m.rec.Part.Kind, ID: m.rec.Name, Socket: k.dir.PartSocket(m.rec.Name), Draining: m.rec.Part.Draining,
			Binary: m.rec.Part.Binary, Version: m.rec.Part.Version, Restarts: m.rec.Restarts,
		}
		if m.cur != nil && m.cur.p != nil {
			p.PID, p.StartedAt, p.Ready = m.rec.Identity.PID, m.rec.StartedAt, m.rec.Notified
		}
		k.mu.Unlock()
		list = append(list, p)
	}
	return list
}
