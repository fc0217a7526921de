package actor

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// log is a process that traps exits and keeps what it is told.
func log(t testing.TB) (Ref[any], *[]any) {
	got := new([]any)
	return must(t, &script{info: func(_ *Self[any], i any) error { *got = append(*got, i); return nil }}, Options{TrapExit: true}), got
}

func TestLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, got := log(t)
		b := must(t, &script{}, Options{})
		in(t, a, func(self *Self[any]) {
			self.Link(b.PID())
			self.Link(b.PID()) // is linking once
			self.Link(self.PID())
		})
		in(t, b, func(self *Self[any]) { self.Link(a.PID()) }) // the same link
		if i, j := a.PID().Info(), b.PID().Info(); len(i.Links) != 1 || len(j.Links) != 1 || i.Links[0] != b.PID() || j.Links[0] != a.PID() {
			t.Errorf("%v, %v", i.Links, j.Links)
		}
		_ = b.Cast(errBoom)
		synctest.Wait()
		if want := []any{Exit{From: b.PID(), Reason: Reason{Kind: Crash, Err: errBoom}}}; fmt.Sprint(*got) != fmt.Sprint(want) {
			t.Errorf("%v", *got)
		}
		if i := a.PID().Info(); len(i.Links) != 0 {
			t.Errorf("%v", i.Links)
		}
		in(t, a, func(self *Self[any]) { // to the dead, to nobody
			self.Link(b.PID())
			self.Link(PID{})
		})
		synctest.Wait()
		if len(*got) != 3 || !errors.Is((*got)[1].(Exit).Reason.Err, ErrNoProc) || (*got)[2].(Exit).From != (PID{}) {
			t.Errorf("%v", *got)
		}
		c := must(t, &script{}, Options{})
		in(t, c, func(self *Self[any]) { self.Link(b.PID()) })
		<-c.PID().Done()
		if r := c.PID().Reason(); !errors.Is(r.Err, ErrNoProc) {
			t.Errorf("linked to the dead: ended for %v", r)
		}
		a.PID().Kill()
	})
}

// The kinds of exits: a normal one ends nobody, a kill that comes over a link can be trapped and keeps its kind, and a
// kill sent to a process cannot be trapped.
func TestExitSignals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			end  func(Ref[any])
			kind string
			ends bool // the linked one that does not trap
		}{
			{func(r Ref[any]) { _ = r.Cast(Stop(Reason{})) }, "normal", false},
			{func(r Ref[any]) { _ = r.Cast(Stop(Reason{Kind: Shutdown})) }, "shutdown", true},
			{func(r Ref[any]) { r.PID().Kill() }, "killed", true},
			{func(r Ref[any]) { r.PID().Exit(Reason{Kind: Killed}) }, "killed", true},
			{func(r Ref[any]) { _ = r.Cast(errBoom) }, "crash: boom", true},
		} {
			a, got := log(t)
			b, d := must(t, &script{}, Options{}), must(t, &script{}, Options{})
			in(t, d, func(self *Self[any]) { self.Link(a.PID()); self.Link(b.PID()) })
			c.end(d)
			synctest.Wait()
			if len(*got) != 1 || (*got)[0].(Exit).Reason.String() != c.kind || b.PID().Alive() == c.ends || !a.PID().Alive() {
				t.Errorf("%s: trapped %v, the other lives: %v", c.kind, *got, b.PID().Alive())
			}
			if c.ends && b.PID().Reason().String() != c.kind {
				t.Errorf("%s: the other ended for %v", c.kind, b.PID().Reason())
			}
			a.PID().Kill()
			b.PID().Kill()
		}
		a, got := log(t)
		a.PID().Exit(Reason{})
		a.PID().Exit(Reason{Kind: Crash, Err: errBoom})
		synctest.Wait()
		if len(*got) != 2 {
			t.Errorf("%v", *got)
		}
		in(t, a, func(self *Self[any]) {
			if !self.TrapExit(false) {
				t.Error("it was trapping")
			}
		})
		a.PID().Exit(Reason{})
		synctest.Wait()
		if !a.PID().Alive() {
			t.Error("a normal exit from outside ended it")
		}
		a.PID().Exit(Reason{Kind: Crash, Err: errBoom})
		<-a.PID().Done()
	})
}

// The exit of a parent ends also a child that traps, after the messages that came before; also a normal exit.
func TestExitOfParent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, suspended := range []bool{false, true} {
			for _, r := range []Reason{{}, {Kind: Shutdown}, {Kind: Crash, Err: errBoom}} {
				parent := must(t, &script{}, Options{})
				var child Ref[any]
				handled := 0
				in(t, parent, func(self *Self[any]) {
					child, _ = Start[any](self, &script{handle: func(*Self[any], any) error { handled++; return nil }}, Options{Link: true, TrapExit: true})
				})
				if suspended {
					_ = child.PID().Suspend(quiet)
				}
				_ = child.Cast(1)
				_ = parent.Cast(Stop(r))
				<-child.PID().Done()
				if got := child.PID().Reason(); got != r || (handled == 1) == suspended {
					t.Errorf("parent for %v, child for %v, %d handled", r, got, handled)
				}
			}
		}
	})
}

func TestUnlink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := must(t, &script{}, Options{}), must(t, &script{}, Options{})
		in(t, a, func(self *Self[any]) {
			self.Link(b.PID())
			self.Unlink(b.PID())
			self.Unlink(b.PID())
			self.Unlink(PID{})
			self.Unlink(self.PID())
		})
		_ = b.Cast(errBoom)
		synctest.Wait()
		if !a.PID().Alive() || len(a.PID().Info().Links) != 0 {
			t.Error("the link is still there")
		}
		a.PID().Kill()
	})
}

func TestMonitor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, got := log(t)
		b := must(t, &script{}, Options{})
		var refs [4]MonitorRef
		in(t, a, func(self *Self[any]) {
			refs[0], refs[1], refs[2] = self.Monitor(b.PID()), self.Monitor(b.PID()), self.Monitor(b.PID())
			if !self.Demonitor(refs[1]) || self.Demonitor(refs[1]) || self.Demonitor(MonitorRef{}) {
				t.Error("a monitor is not taken back exactly once")
			}
		})
		if i, j := a.PID().Info(), b.PID().Info(); i.Monitors != 2 || j.WatchedBy != 2 {
			t.Errorf("%d, %d", i.Monitors, j.WatchedBy)
		}
		_ = b.Cast(errBoom)
		synctest.Wait()
		in(t, a, func(self *Self[any]) {
			refs[3] = self.Monitor(b.PID())
			self.Monitor(PID{})
			if self.Demonitor(refs[0]) || self.Demonitor(refs[3]) {
				t.Error("a monitor whose Down has been sent was taken back")
			}
		})
		synctest.Wait()
		if len(*got) != 4 {
			t.Fatalf("%v", *got)
		}
		seen := map[MonitorRef]Reason{}
		for _, one := range *got {
			seen[one.(Down).Ref] = one.(Down).Reason
		}
		if seen[refs[0]].Err != errBoom || seen[refs[2]].Err != errBoom || seen[refs[3]].Err != ErrNoProc {
			t.Errorf("%v", seen)
		}
		c := must(t, &script{}, Options{})
		in(t, a, func(self *Self[any]) { self.Monitor(c.PID()) })
		a.PID().Kill()
		if i := c.PID().Info(); i.WatchedBy != 0 {
			t.Error("the dead still watch")
		}
		c.PID().Kill()
	})
}

// A name is free before anyone is told of the end: by a Down, an Exit, an answer, Done or a supervisor's notice. The
// Registrar takes its time, so that anything that does not wait for it is found out.
func TestNameIsFreeBeforeAnyoneIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := &slow{Name: NewName[any]("it")}
		free := func(what string) {
			if r, err := name.Resolve(); !errors.Is(err, ErrNoProc) {
				t.Errorf("%s: the name still leads to %v", what, r)
			}
		}
		see := &script{info: func(_ *Self[any], i any) error { free(fmt.Sprintf("%T", i)); return nil }}
		early, late := must(t, see, Options{TrapExit: true}), must(t, see, Options{TrapExit: true})
		h := &hold{from: make(chan From[int], 1)}
		a := must(t, h, Options{Name: name})
		in(t, early, func(self *Self[any]) { self.Monitor(a.PID()); self.Link(a.PID()) })
		go func() { _, _ = Call(quiet, a, ask); free("answer") }()
		go func() { <-a.PID().Done(); free("Done") }()
		(*child)(&a.s.process).Notify(func() { free("Notify") })
		synctest.Wait()
		go func() { _ = a.PID().Shutdown(quiet); free("Shutdown") }()
		synctest.Wait()
		time.Sleep(time.Second / 2) // the name takes a second to be released
		for range 3 {
			_ = late.Cast(func() { late.s.Monitor(a.PID()); late.s.Link(a.PID()) })
			(*child)(&a.s.process).Notify(func() { free("late Notify") })
			synctest.Wait()
			time.Sleep(time.Second / 4)
		}
		early.PID().Kill()
		late.PID().Kill()
	})
}

// slow is a name whose release takes a second.
type slow struct{ *Name[any] }

func (s *slow) Unregister(id PID) { time.Sleep(time.Second); s.Name.Unregister(id) }

// What a killed process still does in its callback has no effect on others through its links, monitors and names.
func TestKilledHasNoEffect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, other := must(t, &script{}, Options{}), must(t, &script{}, Options{})
		gate := make(chan struct{})
		name := NewName[any]("it")
		_ = a.Cast(func() {
			<-gate
			a.s.Link(other.PID())
			a.s.Monitor(other.PID())
			if err := a.s.Register(name); err != ErrNoProc {
				t.Errorf("register: %v", err)
			}
			if _, err := Start[any](a.s, &script{}, Options{Link: true}); err == nil {
				t.Error("it starts a child")
			}
			if _, err := Call(a.s, other, ask); err == nil {
				t.Error("it calls")
			}
			a.s.Timeout(time.Hour)
			a.s.Continue(1)
			_ = a.s.After(time.Hour, 1)
			panic("and out")
		})
		synctest.Wait()
		a.PID().Kill()
		close(gate)
		<-a.PID().Gone()
		if i := other.PID().Info(); !other.PID().Alive() || len(i.Links)+i.WatchedBy != 0 {
			t.Errorf("%+v", i)
		}
		if _, err := name.Resolve(); err == nil {
			t.Error("the dead has a name")
		}
		if a.PID().Reason().Kind != Killed || a.s.server != nil || a.s.batch != nil || a.s.continues != nil {
			t.Errorf("ended for %v, keeps %v", a.PID().Reason(), a.s.server)
		}
		other.PID().Kill()
	})
}

// The same for one that is killed while it is still being named, by somebody who found it by that name.
func TestKilledWhileNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := &lingering{Name: NewName[any]("it")}
		watcher, got := log(t)
		go func() {
			time.Sleep(time.Second / 2)
			ref, err := name.Resolve()
			if err != nil {
				t.Error(err)
				return
			}
			watcher.s.Monitor(ref.PID())
			watcher.s.Link(ref.PID())
			ref.PID().Kill()
			if ref.PID().Alive() || len(*got) != 0 {
				t.Errorf("alive %v, told %v", ref.PID().Alive(), *got)
			}
			<-ref.PID().Done()
			if r, err := name.Resolve(); err == nil {
				t.Errorf("the name leads to %v", r)
			}
		}()
		if _, err := Start[any](quiet, &script{}, Options{Name: name}); !errors.Is(err, ErrNoProc) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if len(*got) != 2 {
			t.Errorf("told %v", *got)
		}
		watcher.PID().Kill()
	})
}

// lingering is a name that takes a second to be given.
type lingering struct{ *Name[any] }

func (l *lingering) Register(id PID) error {
	defer time.Sleep(time.Second)
	return l.Name.Register(id)
}
