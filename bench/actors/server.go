package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"semper/actor"
	"semper/supervise"
)

// A message is what the servers of both sides take; otp.erl has the same as tuples.
type message interface{ isMessage() }

type (
	get  struct{ from actor.From[int] }
	tick struct {
		left int
		done chan<- struct{} // closed when nothing is left
	}
	hop    tick
	expect tick
	timers tick
	next   struct{ to actor.Ref[message] }
	fire   struct{ each int }
	arrive struct{}
	crash  struct{}
	spawn  struct {
		count int
		o     actor.Options
		from  actor.From[[]actor.Ref[message]]
	}
	callOther struct {
		to    actor.Ref[message]
		count int
		from  actor.From[int]
	}
)

func (get) isMessage()       {}
func (tick) isMessage()      {}
func (hop) isMessage()       {}
func (expect) isMessage()    {}
func (timers) isMessage()    {}
func (next) isMessage()      {}
func (fire) isMessage()      {}
func (arrive) isMessage()    {}
func (crash) isMessage()     {}
func (spawn) isMessage()     {}
func (callOther) isMessage() {}

var errBoom = errors.New("boom")

// server is otp.erl's gen_server.
type server struct {
	n    int
	to   actor.Ref[message]
	done chan<- struct{}
}

// Init makes the start wait for a callback, as in Erlang.
func (s *server) Init(*actor.Self[message]) error { //nolint:unparam // the signature of actor.Initer
	s.n = 0
	return nil
}

func (s *server) Handle(self *actor.Self[message], m message) error {
	switch m := m.(type) {
	case get:
		s.n++
		m.from.Reply(s.n)
	case tick:
		s.n++
		if m.left == 0 {
			close(m.done)
		}
	case arrive:
		if s.n--; s.n == 0 {
			close(s.done)
		}
	case hop:
		if m.left == 0 {
			close(m.done)
			return nil
		}
		return s.to.Cast(hop{m.left - 1, m.done})
	default:
		return s.seldom(self, m)
	}
	return nil
}

// seldom is what makes ready for a measurement.
func (s *server) seldom(self *actor.Self[message], m message) error {
	switch m := m.(type) {
	case expect:
		s.n, s.done = m.left, m.done
	case next:
		s.to = m.to
	case fire:
		for range m.each {
			if err := s.to.Cast(arrive{}); err != nil {
				return err
			}
		}
	case timers:
		s.n, s.done = m.left, m.done
		for range m.left {
			self.After(time.Duration(1+rand.IntN(1000))*time.Millisecond, arrive{})
		}
	case crash:
		return errBoom
	case spawn:
		m.from.Reply(starts(self, m.count, m.o))
	case callOther:
		for range m.count {
			if _, err := actor.Call(self, m.to, ask); err != nil {
				return err
			}
		}
		m.from.Reply(m.count)
	}
	return nil
}

func ask(from actor.From[int]) message { return get{from} }

// upServer tells of each of its incarnations, as otp.erl's init({up, To}).
type upServer struct {
	server
	up chan<- actor.Ref[message]
}

func (s *upServer) Init(self *actor.Self[message]) error { //nolint:unparam // the signature of actor.Initer
	s.n = 0
	s.up <- self.Ref()
	return nil
}

// must ends the measurement: its figures would be of something else.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func start() actor.Ref[message] {
	return must(actor.Start(context.Background(), actor.Server[message](&server{}), actor.Options{}))
}

func starts(ctx context.Context, n int, o actor.Options) []actor.Ref[message] {
	refs := make([]actor.Ref[message], 0, n)
	for range n {
		refs = append(refs, must(actor.Start(ctx, actor.Server[message](&server{}), o)))
	}
	return refs
}

func awake(refs []actor.Ref[message]) {
	for _, r := range refs {
		must(actor.Call(context.Background(), r, ask))
	}
}

func newServer() actor.Server[message] { return &server{} }

func dynamic() *supervise.Dynamic {
	return must(supervise.StartDynamic(context.Background(), supervise.DynamicFlags{Intensity: 1}, supervise.Options{}))
}

func child() supervise.ChildSpec {
	spec := actor.Child("c", newServer, actor.Options{})
	spec.Restart = supervise.Temporary
	return spec
}

func populate(d *supervise.Dynamic, n int) {
	spec := child()
	for range n {
		must(d.StartChild(context.Background(), spec))
	}
}

func stop(d *supervise.Dynamic) { check(d.Stop(context.Background())) }
