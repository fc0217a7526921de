package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/internal/handoff"
	"semper/queue"
	"semper/queue/pull"
)

// socketsNamed are the sockets of a name.
func socketsNamed(sockets []handoff.Socket, name string) []handoff.Socket {
	return slices.DeleteFunc(slices.Clone(sockets), func(s handoff.Socket) bool { return s.Name != name })
}

// workers is the surface that instances ask for jobs. Who they are is the kernel's word, and the keeper's.
func (c *clerk) workers(sockets []handoff.Socket) *surface {
	s := &surface{log: c.log, sockets: sockets, conn: remember, handler: pull.New(pull.Options{
		Who: c.who, Asked: c.saysReady, Desk: c.desk, Log: c.log,
		Queue: func(service semper.PoolKey) (queue.Producer, queue.Settings, bool) {
			in, ok := c.inbox(service)
			return in.Queue, in.Settings, ok
		},
	})}
	s.told.Do(func() {}) // that is the face's to say
	return s
}

// desk is where the workers of a service ask; nil where none do.
func (c *clerk) desk(service semper.PoolKey) *pull.Desk {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.open[service]; d != nil {
		return d.desk
	}
	return nil
}

// A caller is one connection of an instance.
type caller struct {
	conn net.Conn

	mu  sync.Mutex // guards who
	who *pull.Instance
}

type callerKey struct{}

// remember keeps who a connection is of.
func remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, &caller{conn: conn})
}

// who is the instance that a request comes from.
func (c *clerk) who(r *http.Request) (pull.Instance, error) {
	from, ok := r.Context().Value(callerKey{}).(*caller)
	if !ok {
		return pull.Instance{}, errors.New("not a connection of ours")
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	if from.who != nil {
		return *from.who, nil
	}
	peer, err := peerOf(from.conn)
	if err != nil {
		return pull.Instance{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	s, err := c.keeper.Whose(ctx, int(peer.Pid), int(peer.Uid))
	if err != nil {
		return pull.Instance{}, err
	}
	from.who = &pull.Instance{
		ID: s.Spec.ID, Incarnation: s.Incarnation, App: s.Spec.App, Environment: s.Spec.Environment, Service: s.Spec.Service, Release: s.Spec.Release,
	}
	return *from.who, nil
}

// peerOf is who is at the other end of a unix socket.
func peerOf(conn net.Conn) (*unix.Ucred, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("%T is no unix socket", conn)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(err, cerr)
}

// saysReady tells the keeper, once for each incarnation, that an instance has asked for a job.
func (c *clerk) saysReady(ctx context.Context, who pull.Instance) {
	c.mu.Lock()
	known := c.asked[who.ID] >= who.Incarnation
	c.mu.Unlock()
	if known {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := c.keeper.SaidReady(ctx, who.ID, who.Incarnation); err != nil {
		c.log.Debug("the keeper was not told that a worker asks for jobs; told at its next claim", "instance", who.ID, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[who.ID] = max(c.asked[who.ID], who.Incarnation)
}

// mourn hands the jobs of instances that have ended to others, until ctx ends.
func (c *clerk) mourn(ctx context.Context) error {
	ends := map[semper.InstanceID]int64{} // the newest incarnation that was seen to end
	again(ctx, 100*time.Millisecond, func(ctx context.Context) {
		ch, err := c.keeper.Watch(ctx)
		if err != nil {
			return
		}
		for batch := range ch {
			for i := range batch {
				s := &batch[i]
				if e := s.LastEnd; e != nil && e.Incarnation > ends[s.Spec.ID] {
					ends[s.Spec.ID] = e.Incarnation
					c.ended(ctx, s)
				}
			}
		}
	})
	return ctx.Err()
}

// ended lets others have what s held in its last incarnation.
func (c *clerk) ended(ctx context.Context, s *semper.InstanceStatus) {
	d := c.desk(semper.NamePool(s.Spec.App, s.Spec.Environment, s.Spec.Service))
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d.Gone(ctx, s.Spec.ID, s.LastEnd.At, fmt.Sprintf("its worker ended: %s", s.LastEnd.Reason))
}

// follows has all desks go by t, and then says so to whoever waits for it.
func (c *clerk) follows(t semper.Table) {
	c.mu.Lock()
	desks := map[semper.PoolKey]*pull.Desk{}
	for key, d := range c.open {
		if d.desk != nil {
			desks[key] = d.desk
		}
	}
	c.mu.Unlock()
	for key, d := range desks {
		p, _ := pull.PlanOf(t, key) // of a service that has left the table: nobody takes any more
		d.Apply(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch = t.Epoch
	close(c.moved)
	c.moved = make(chan struct{})
}

// state is what this process says of itself, in the words of edges: by which table jobs are handed out, and who has how many. While
// that is not known, it goes by none.
func (c *clerk) state() (semper.EdgeState, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := semper.EdgeState{ID: c.id, PID: os.Getpid(), Epoch: c.epoch, InFlight: map[semper.InstanceID]semper.InFlight{}, Held: map[semper.PoolKey]int{}}
	for _, d := range c.open {
		if d.desk == nil {
			continue
		}
		if !d.desk.Known() {
			s.Epoch = 0
		}
		for id, n := range d.desk.Held() {
			s.InFlight[id] = semper.InFlight{semper.ClassJob: n}
		}
	}
	return s, c.moved
}

// words answers on this process's own socket, beside others who do, as an edge does on its own:
//
//	GET /v1/state          the process's [semper.EdgeState]
//	GET /v1/wait?epoch=N   the same, once jobs are handed out by epoch N or a later one
//	GET /v1/arms           what attempts of workers that ask came to, by the sides of trials: [semper.ArmCounts]
func (c *clerk) words(others http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", others)
	give := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // who asked is gone
	}
	mux.HandleFunc("GET /v1/state", func(w http.ResponseWriter, _ *http.Request) {
		s, _ := c.state()
		give(w, s)
	})
	mux.HandleFunc("GET /v1/wait", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.FormValue("epoch"), 10, 64)
		if err != nil {
			http.Error(w, "epoch is not a number", http.StatusBadRequest)
			return
		}
		for {
			s, moved := c.state()
			if s.Epoch >= semper.Epoch(n) {
				give(w, s)
				return
			}
			select {
			case <-moved:
			case <-time.After(50 * time.Millisecond): // what is held may have become known
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("GET /v1/arms", func(w http.ResponseWriter, _ *http.Request) { give(w, c.arms()) })
	return mux
}

// arms is what the sides of trials came to.
func (c *clerk) arms() []semper.ArmCounts {
	out := []semper.ArmCounts{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.open {
		if d.desk != nil {
			out = append(out, d.desk.Counts(c.id+"@"+c.began.UTC().Format(time.RFC3339Nano))...)
		}
	}
	return out
}
