package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/actor"
	"semper/actor/observer"
	"semper/keeper"
	"semper/keeper/trees"
	"semper/supervise"
)

// restless crashes when its mailbox has been empty for a moment, as often as it is told.
type restless struct{ Crashes int }

func (r *restless) Init(self *actor.Self[string]) error {
	self.Continue("crash")
	return nil
}

func (r *restless) Continue(*actor.Self[string], any) error {
	if _, err := os.Stat(os.Getenv("HOME") + "/quiet"); err == nil {
		return nil
	}
	return errors.New("restless")
}

func (r *restless) Handle(*actor.Self[string], string) error { return nil }

// program is an app of actors: one of them crashes again and again until a file tells it to stop.
func program(ctx context.Context) error {
	s, err := observer.Run(ctx, supervise.Flags{Name: "restless", Intensity: 1 << 20, Period: time.Minute}, []supervise.ChildSpec{
		actor.Child("calm", func() actor.Server[string] { return &calm{} }, actor.Options{}),
		{ID: "wild", Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
			return supervise.Start(ctx, supervise.Flags{Name: "wild", Intensity: 1 << 20, Period: time.Minute}, []supervise.ChildSpec{
				actor.Child("one", func() actor.Server[string] { return &restless{} }, actor.Options{}),
			}, supervise.Options{})
		}},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return s.Stop(context.Background())
}

type calm struct{}

func (*calm) Handle(*actor.Self[string], string) error { return nil }

// find is the node with that name below n.
func find(n keeper.Node, name string) *keeper.Node {
	if n.Name == name {
		return &n
	}
	for _, c := range n.Children {
		if f := find(c, name); f != nil {
			return f
		}
	}
	return nil
}

// TestTheTreeGoesOnInPrograms: what runs in an instance's program hangs below it, survives a killed keeper, and its crash
// loop is reported within bounds and counted against nobody.
func TestTheTreeGoesOnInPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := w.spec(1, fmt.Sprintf("%s=1 exec %s program", roleEnv, self))
	spec.Spec.User = strconv.Itoa(os.Getuid()) // whoever can execute this binary
	w.start(spec)
	w.eventually("a budget of reports", func() bool { return len(w.crashes()) >= trees.MaxCrashes })
	if err := os.WriteFile(w.dir.Scratch(spec.ID)+"/quiet", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	shown := func() *keeper.Node {
		tree, err := w.client.Tree(w.ctx())
		if err != nil {
			t.Fatal(err)
		}
		in := find(tree, string(spec.ID))
		if in == nil || in.Kind != "process" || len(in.Children) != 1 {
			return nil
		}
		return in
	}
	var in *keeper.Node
	w.eventually("its actors", func() bool {
		in = shown()
		return in != nil && find(*in, "one") != nil && find(*in, "one").State == "running"
	})
	if one := find(*in, "one"); one.Kind != "actor" || one.Restarts < 20 || !strings.Contains(one.Reason, "restless") {
		t.Errorf("%+v", one)
	}
	if wild := find(*in, "wild"); wild.Kind != "supervisor" || wild.Strategy != "one_for_one" || wild.Window < 20 {
		t.Errorf("%+v", wild)
	}
	reports := w.crashes()
	if len(reports) > 2*trees.MaxCrashes { // a minute may end in between
		t.Errorf("%d reports", len(reports))
	}
	if i := slices.IndexFunc(reports, func(r semper.CrashReport) bool {
		return r.Actor == nil || r.What != string(spec.ID) || r.App != "bar" || r.Release != "r1" || r.PID != in.PID ||
			r.Reason.Kind != semper.ReasonCrash || !strings.HasPrefix(r.Actor.Path, "restless/") || !strings.HasSuffix(r.Actor.Path, "/one")
	}); i >= 0 {
		t.Errorf("%+v", reports[i])
	}
	st := w.await(spec.ID, "its reports are told of", func(s semper.InstanceStatus) bool { return s.Crashes >= trees.MaxCrashes })
	if st.Restarts != 0 || st.LastEnd != nil || st.PID != in.PID {
		t.Errorf("counted against the instance: %+v", st)
	}
	w.end(syscall.SIGKILL)
	w.run()
	w.eventually("its actors again", func() bool { n := shown(); return n != nil && n.PID == in.PID && find(*n, "calm") != nil })
}
