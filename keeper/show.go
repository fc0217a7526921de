package keeper

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"semper"
	"semper/actor/observer"
	"semper/api"
	"semper/keeper/journal"
	"semper/keeper/mark"
	"semper/keeper/trees"
	"semper/supervise"
)

// askTime is how long all programs together may take to say what runs in them.
const askTime = 300 * time.Millisecond

// openTrees begins to hear from programs what runs in them. Its socket is open to every user, as that of sd_notify: who
// connects is known by the kernel's word.
func (k *keeper) openTrees() (err error) {
	k.trees, err = trees.Listen(k.dir.TreeSocket(), 0o622, trees.Options{Identify: k.identify, Crash: k.actorCrashed, Log: k.log})
	return err
}

func (k *keeper) identify(p trees.Peer) (trees.Member, bool) {
	mk, main := mark.Sender(p.PID, k.held.Marker.ID)
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.whoseLocked(mk, main, p.UID)
	if m == nil {
		return trees.Member{}, false
	}
	return trees.Member{Name: m.rec.Name, Incarnation: m.rec.Incarnation}, true
}

// actorCrashed files what a program says of the crash of one of its actors. It is no end of the process: nothing is
// counted, and nobody is told but who reads reports.
func (k *keeper) actorCrashed(of trees.Member, p trees.Peer, c observer.Crash) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[of.Name]
	if m == nil {
		return
	}
	dropped, ok := m.inside.Take(now)
	if !ok {
		return
	}
	r := trees.Report(c, now)
	r.Actor.Dropped += dropped
	r.PID = p.PID
	m.signLocked(&r)
	k.log.Warn("an actor crashed", "what", of.Name, "pid", p.PID, "actor", cmp.Or(r.Actor.Path, r.Actor.Process), "reason", r.Reason.String())
	k.fileReport(r, func() { // whoever watches the instance can fetch it now
		if m.crashes++; !m.gone {
			k.changedLocked(m)
		}
	})
}

// tree is everything: the machine, the supervisors of this keeper, their processes, and what runs in those.
func (k *keeper) tree(ctx context.Context) Node {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	inside := k.trees.Ask(ctx)
	root := Node{
		Name: "semper keeper", Kind: api.NodeSupervisor, State: "running", Strategy: supervise.OneForOne.String(),
		PID: k.self().PID, StartedAt: k.self().StartedAt,
	}
	system := k.supervisorNode("system", k.system, limitOf(journal.Record{Part: &journal.Part{}}), inside)
	instances := k.supervisorNode("instances", k.instances, supervise.Flags{}, inside)
	for _, info := range k.instances.Children() {
		k.groupMu.Lock()
		g := k.groups[info.ID]
		k.groupMu.Unlock()
		if g == nil {
			continue
		}
		instances.Children = append(instances.Children, k.supervisorNode(g.limit.Name, g.sup, g.limit, inside))
	}
	root.Children = []Node{system, instances}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // a machine without a name still has a tree
	}
	return Node{Name: "node " + host, Kind: api.NodeMachine, State: "running", Children: []Node{root}}
}

func (k *keeper) supervisorNode(name string, s *supervise.Supervisor, limit supervise.Flags, inside map[trees.Member][]trees.Program) Node {
	n := Node{Name: name, Kind: api.NodeSupervisor, State: "running", Strategy: supervise.OneForOne.String(), Window: s.Window()}
	if limit.Period > 0 {
		n.Intensity = fmt.Sprintf("%d in %v", limit.Intensity, limit.Period)
	}
	for _, info := range s.Children() {
		if !info.Supervisor {
			n.Children = append(n.Children, k.processNode(info, inside))
		}
	}
	return n
}

func (k *keeper) processNode(info supervise.ChildInfo, inside map[trees.Member][]trees.Program) Node {
	n := Node{Name: info.ID, Kind: api.NodeProcess, State: info.State.String(), Restarts: info.Restarts}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[info.ID]
	if m == nil {
		return n
	}
	n.State, n.Restarts = string(m.state), m.rec.Restarts
	if m.rec.Notified {
		n.State = string(semper.Ready)
	}
	if m.rec.LastEnd != nil {
		n.Reason = m.rec.LastEnd.Reason.String()
	}
	if m.cur == nil || m.cur.p == nil {
		return n
	}
	n.PID, n.StartedAt = m.rec.Identity.PID, m.rec.StartedAt
	for _, p := range inside[trees.Member{Name: m.rec.Name, Incarnation: m.rec.Incarnation}] {
		program := p.Node()
		if p.Peer.PID != n.PID { // of a process that the member's own has started
			program.PID = p.Peer.PID
		}
		n.Children = append(n.Children, program)
	}
	return n
}
