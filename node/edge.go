package node

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"semper/edge"
	"semper/edge/http3"
	"semper/edge/http3/accept"
	"semper/edge/proxyproto"
	"semper/internal/handoff"
	"semper/internal/steer"
	"semper/internal/trim"
	"semper/keeper"
	"semper/supervise"
)

// Edge is an edge process. It serves by the last route table on disk at once and follows the store
// from then on; the end of ctx drains it.
//
// It is a tree:
//
//	edge-1 (one for one, gives up)
//	├─ observer     shows the tree and its crashes
//	├─ background   what works beside the requests: see package edge
//	├─ helpers      (one for one, persists)
//	│  ├─ sockets   gives the listening sockets to a keeper that lost its own
//	│  ├─ control   the edge's own socket
//	│  └─ table     follows the route table
//	└─ listeners    (one for one, gives up)
//	   ├─ https 0  one accept loop for each listening socket
//	   ├─ http3 0  and for the UDP side of one, where there is HTTP/3
//	   └─ jobs     and for the socket over which queues send their requests
//
// Nothing here depends on the life of a sibling, only on the edge itself, so each is restarted alone. The edge serves
// without its helpers, by the table it has: their faults are tried again for ever, ever later up to a second, and never
// cost a request. Without an accept loop, or without what works in the background, it does not serve as it should and
// cannot say so: after six faults within ten seconds the tree gives up and the process ends, for its keeper to start
// another on the same sockets.
//
// The order is that of need: the helpers are there, and the store's table was waited for, before the keeper is told that
// the edge is ready, and that before the first accept. The drain does not stop parts of the tree: while it lasts the
// table is followed, the socket answers, and what is on its way out is cut in time. The tree ends when it is over.
func Edge(ctx context.Context, o PartOptions) error {
	d := dirs(o.Dir)
	sockets, err := handoff.Inherited()
	if err != nil {
		return err
	}
	groups, sockets := steer.Grouped(keeper.UDP, sockets)
	defer handoff.Close(sockets)
	listeners, err := handoff.Listen(sockets)
	if err != nil {
		return err
	}
	p := &plane{ctx: ctx, o: o, dirs: d, sockets: sockets, options: edge.Options{ID: o.ID, Dir: d.edge(), Log: o.Log, Driver: o.Edge.Driver, Trusted: o.Edge.Trusted, Trees: d.tree}}
	if p.ports, err = openPorts(d, groups, o.Edge.Slot); err != nil {
		return err
	}
	defer p.closePorts()
	if err := p.secure(ctx); err != nil {
		return err
	}
	p.options.Witness.Log = accessLog(d.logs(), cmp.Or(o.Edge.AccessLog, os.Getenv("SEMPER_ACCESS_LOG")), o.Log)
	root := bounded(o.ID)
	root.AutoShutdown = supervise.AnySignificant
	// The start is not broken off: a drain that is asked for meanwhile finds an edge that serves.
	tree, err := runTree(context.WithoutCancel(ctx), o, root, p.specs())
	if err != nil {
		return errors.Join(err, p.close())
	}
	defer tree.Stop(context.Background()) //nolint:errcheck // nothing ends its waiting
	// Ready before the first accept: whoever waits for every edge's acknowledgement counts this one from here on.
	ready(ctx, o.Log)
	if err := tree.StartChild(context.WithoutCancel(ctx), p.accepting(listeners)); err != nil {
		return errors.Join(err, p.close())
	}
	select {
	case <-ctx.Done():
	case <-p.edge.Done(): // asked through the control socket
		return p.close()
	case <-tree.Done():
		return errors.Join(tree.Reason().Err, p.close())
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := p.edge.Drain(drain); err != nil {
		o.Log.Warn("drained in part", "error", err)
	}
	return p.close()
}

// drainTimeout bounds the life of an edge that was told to end: what its own drain deadlines allow at most.
const drainTimeout = 10 * time.Minute

// bounded are the flags of a supervisor of an edge, whose name is its path.
func bounded(path ...string) supervise.Flags {
	return supervise.Flags{Name: strings.Join(path, "/"), Intensity: 5, Period: 10 * time.Second}
}

// gently spaces out the restarts of a part: the first is at once.
var gently = supervise.Backoff{Min: 10 * time.Millisecond, Max: time.Second, Jitter: 0.2, Reset: 10 * time.Second}

// plane is what the parts of an edge process have in common.
type plane struct {
	ctx     context.Context // ends when the drain begins
	o       PartOptions
	dirs    dirs
	sockets []handoff.Socket
	ports   map[string]*http3.Port // by their addresses, which are those of sockets for HTTPS
	options edge.Options
	certs   *certificates // nil without TLS
	edge    *edge.Edge    // made by the first child, for those after it; one for the whole life
}

func (p *plane) specs() []supervise.ChildSpec {
	helpers := bounded(p.o.ID, "helpers")
	helpers.GiveUp = supervise.Persist
	return []supervise.ChildSpec{
		// Temporary and significant: it cannot be replaced below those that use it. When it has given up, so has the process.
		{ID: "background", Supervisor: true, Restart: supervise.Temporary, Significant: true, Start: p.open},
		{ID: "helpers", Supervisor: true, Start: subtree(p.o.Log, helpers, []supervise.ChildSpec{
			{ID: "sockets", Restart: supervise.Transient, Backoff: gently, Start: supervise.Serve(offering(p.ctx, p.o, p.offered()))},
			{ID: "control", Backoff: gently, Start: supervise.ServeReady(func(ctx context.Context, ready func()) error {
				return answer(ctx, p.o, p.handler(), ready)
			})},
			{ID: "table", Backoff: gently, Start: supervise.ServeReady(p.follow)},
			{ID: "trim", Backoff: gently, Start: supervise.Serve(func(ctx context.Context) error {
				trim.Watch(ctx, nil)
				return nil
			})},
		})},
	}
}

// open makes the edge.
func (p *plane) open(ctx context.Context) (supervise.Child, error) {
	p.options.Observe = observe(ctx, p.o.Log).Observe
	e, err := edge.New(p.options)
	if err != nil {
		return nil, err
	}
	p.edge = e
	return e.Background(), nil
}

func (p *plane) close() error {
	if p.edge == nil {
		return p.certs.close()
	}
	return errors.Join(p.edge.Close(), p.certs.close())
}

// accepting is the part that takes connections.
func (p *plane) accepting(listeners map[string][]net.Listener) supervise.ChildSpec {
	var specs []supervise.ChildSpec
	add := func(name string, i int, start supervise.StartFunc) {
		specs = append(specs, supervise.ChildSpec{ID: name + " " + strconv.Itoa(i), Restart: supervise.Transient, Backoff: gently, Start: start})
	}
	n := make(map[string]int)
	for _, s := range p.sockets {
		i, terms := n[s.Name], p.terms(s)
		n[s.Name]++
		add(s.Name, i, p.accept(s, listeners[s.Name][i], terms))
		if port := p.portOf(s); port != nil {
			add("http3", i, accept.Start(p.edge, port, terms, p.o.Log, nil))
		}
	}
	specs = append(specs, supervise.ChildSpec{ID: "jobs", Restart: supervise.Transient, Backoff: gently, Start: supervise.Serve(p.acceptJobs)})
	return supervise.ChildSpec{ID: "listeners", Supervisor: true, Restart: supervise.Temporary, Significant: true,
		Start: subtree(p.o.Log, bounded(p.o.ID, "listeners"), specs)}
}

// accept is one accept loop. An ended one has closed its listener: the next takes connections from the same socket by
// another.
func (p *plane) accept(s handoff.Socket, first net.Listener, terms edge.Terms) supervise.StartFunc {
	return func(ctx context.Context) (supervise.Child, error) {
		l := first
		if first = nil; l == nil {
			var err error
			if l, err = s.Listen(); err != nil {
				return nil, err
			}
		}
		if p.o.Edge.ProxyProtocol {
			l = &proxyproto.Listener{Listener: l, Trusted: p.o.Edge.Trusted, Required: true}
		}
		return supervise.Serve(func(ctx context.Context) error { return p.edge.ServeUntil(ctx, l, terms) })(ctx)
	}
}

// terms are those of the connections of s.
func (p *plane) terms(s handoff.Socket) edge.Terms {
	if s.Name != "https" {
		return edge.Terms{H2C: p.o.Edge.H2C}
	}
	t := edge.Terms{TLS: p.options.TLS}
	if port := p.portOf(s); port != nil {
		t.AltSvc = port.Alternative()
	}
	return t
}
