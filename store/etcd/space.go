package etcd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"golang.org/x/sys/unix"
)

const (
	// Floor is the free space, in bytes, below which no more puts are taken.
	Floor = 32 << 20
	// Ballast is the size in bytes of the file that is given up when the floor is reached.
	Ballast = 64 << 20
	// ease is the free space from which on puts are taken again and the ballast is put back.
	ease = Floor + 2*Ballast
	// look is how often the free space is asked for.
	look = 2 * time.Second
)

// room is what the guard sees of the file system and of the server.
type room struct {
	free    int64 // bytes an ordinary user could still write
	ballast bool  // is in place
	refuses bool  // the server takes no puts
	full    bool  // because its own quota is reached, which is none of the guard's business
}

// measures are what the guard does next.
type measures struct {
	drop, refuse, accept, restore bool
}

// decide keeps the floor. Between floor and ease nothing changes, so that it does not flap.
func decide(r room) measures {
	switch {
	case r.free < Floor:
		return measures{drop: r.ballast, refuse: !r.refuses}
	case r.free >= ease:
		return measures{restore: !r.ballast, accept: r.refuses && !r.full}
	case r.ballast && r.refuses && !r.full:
		return measures{accept: true} // somebody made room before the ballast had to go
	}
	return measures{}
}

// guard watches the space below dir for the server.
type guard struct {
	dir string
	log *slog.Logger
}

func (g *guard) ballast() string { return filepath.Join(g.dir, "ballast") }

func (g *guard) look() (room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(g.dir, &st); err != nil {
		return room{}, err
	}
	fi, err := os.Stat(g.ballast())
	return room{free: int64(st.Bavail) * st.Bsize, ballast: err == nil && fi.Size() == Ballast}, nil
}

// prepare makes room for the log before the server opens it, or puts the ballast in place.
func (g *guard) prepare() {
	r, err := g.look()
	if err != nil {
		g.log.Warn("store: cannot see how much space is free", "dir", g.dir, "err", err)
		return
	}
	m := decide(r)
	g.weigh(m)
}

func (g *guard) weigh(m measures) {
	var err error
	switch {
	case m.drop:
		g.log.Error("store: the disk is nearly full", "dir", g.dir, "floor", Floor)
		err = os.Remove(g.ballast())
	case m.restore:
		err = g.restore()
	}
	if err != nil {
		g.log.Warn("store: the space kept for a full disk is not as it should be", "err", err)
	}
}

func (g *guard) restore() error {
	f, err := os.OpenFile(g.ballast(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, Ballast), f.Close()); err != nil {
		return errors.Join(err, os.Remove(g.ballast()))
	}
	return nil
}

// watch keeps the floor until ctx ends.
func (g *guard) watch(ctx context.Context, s *etcdserver.EtcdServer) {
	every := time.NewTicker(look)
	defer every.Stop()
	for {
		g.keep(ctx, s)
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *guard) keep(ctx context.Context, s *etcdserver.EtcdServer) {
	r, err := g.look()
	if err != nil {
		return // said by prepare
	}
	for _, a := range s.Alarms() {
		r.refuses = r.refuses || a.Alarm == pb.AlarmType_NOSPACE
	}
	r.full = s.Backend().Size() >= quota
	m := decide(r)
	g.weigh(m)
	if !m.refuse && !m.accept {
		return
	}
	action := pb.AlarmRequest_ACTIVATE
	if m.accept {
		action = pb.AlarmRequest_DEACTIVATE
	}
	req := &pb.AlarmRequest{Action: action, Alarm: pb.AlarmType_NOSPACE, MemberID: uint64(s.MemberID())}
	if _, err := s.Alarm(ctx, req); err != nil {
		g.log.Warn("store: cannot change whether puts are taken", "err", err) // tried again at the next look
		return
	}
	g.log.Warn("store: free space changed", "free", r.free, "puts", map[bool]string{true: "taken", false: "refused"}[m.accept])
}
