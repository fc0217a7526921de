package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"semper/supervise"
)

// till is a Server with a state worth handing over: what was paid in, in order.
type till struct {
	paid    []int
	from    int   // the version it took over; -1: it started afresh
	broken  error // of Export and CodeChange
	panicky bool
	gate    chan struct{} // Export and CodeChange wait for it
	entered chan struct{} // closed when CodeChange waits
}

type payment any // int, From[[]int], func()

func (t *till) Handle(_ *Self[payment], m payment) error {
	switch m := m.(type) {
	case int:
		t.paid = append(t.paid, m)
	case From[[]int]:
		m.Reply(slices.Clone(t.paid))
	case func():
		m()
	}
	return nil
}

func (t *till) trouble() error {
	if t.gate != nil {
		if t.entered != nil {
			close(t.entered)
			t.entered = nil
		}
		<-t.gate
	}
	if t.panicky {
		panic("till")
	}
	return t.broken
}

func (t *till) Export() (int, []byte, error) {
	if err := t.trouble(); err != nil {
		return 0, nil, err
	}
	state, err := json.Marshal(t.paid)
	return 3, state, err
}

func (t *till) CodeChange(from int, state []byte) error {
	if err := t.trouble(); err != nil {
		return err
	}
	t.from = from
	return json.Unmarshal(state, &t.paid)
}

// carryingTill hands over its casts too.
type carryingTill struct{ till }

func (t *carryingTill) EncodeMessage(m payment) ([]byte, error) {
	n, ok := m.(int)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be carried", m)
	}
	return strconv.AppendInt(nil, int64(n), 10), nil
}

func (t *carryingTill) DecodeMessage(text []byte) (payment, error) { return strconv.Atoi(string(text)) }

func paid(f From[[]int]) payment { return f }

// shop starts a supervisor of tills, each with its label.
func shop(ctx context.Context, t *testing.T, tills map[string]Server[payment]) *supervise.Supervisor {
	t.Helper()
	var specs []supervise.ChildSpec
	for _, id := range slices.Sorted(maps.Keys(tills)) {
		specs = append(specs, Child(id, func() Server[payment] { return tills[id] }, Options{}))
	}
	s, err := supervise.Start(ctx, supervise.Flags{Name: "shop", Intensity: 3}, specs, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is the till with this id.
func at(t *testing.T, s *supervise.Supervisor, id string) Ref[payment] {
	t.Helper()
	for _, i := range s.Children() {
		if i.ID == id && i.Child != nil {
			r, err := RefOf[payment](i.Child.(interface{ PID() PID }).PID())
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	t.Fatalf("no till %s", id)
	return Ref[payment]{}
}

func stop(t *testing.T, s *supervise.Supervisor) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestHandOverToSuccessors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := shop(quiet, t, map[string]Server[payment]{"a": &till{}, "b": &till{}, "c": &till{}, "plain": plain{}})
		for i, id := range []string{"a", "b", "b", "c"} {
			_ = at(t, old, id).Cast(i)
		}
		snapshot, err := HandOver(quiet, old)
		if err != nil {
			t.Fatal(err)
		}
		if left := snapshot.Left(); !slices.Equal(left, []string{"a", "b", "c"}) {
			t.Errorf("handed over %v", left)
		}
		if i := at(t, old, "b").PID().Info(); i.Status != StatusSuspended {
			t.Errorf("b is %s", i.Status)
		}
		if i := at(t, old, "plain").PID().Info(); i.Status == StatusSuspended {
			t.Error("one that is no Exporter was suspended")
		}
		stop(t, old)

		text, err := json.Marshal(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		var received Snapshot
		if err := json.Unmarshal(text, &received); err != nil {
			t.Fatal(err)
		}
		b := &till{}
		next := shop(WithHandOver(quiet, received), t, map[string]Server[payment]{"a": &till{}, "b": b, "c": plain{}, "new": &till{from: -1}})
		defer stop(t, next)
		if got, err := Call(quiet, at(t, next, "b"), paid); err != nil || !slices.Equal(got, []int{1, 2}) || b.from != 3 {
			t.Errorf("b has %v from version %d, %v", got, b.from, err)
		}
		if got, _ := Call(quiet, at(t, next, "new"), paid); len(got) != 0 {
			t.Errorf("the new one has %v", got)
		}
		if left := received.Left(); !slices.Equal(left, []string{"c"}) {
			t.Errorf("left is %v, want c, whose Server does not take over", left)
		}
		b.paid = nil // its state is its own now
		_ = at(t, next, "b").Cast(func() { panic("boom") })
		synctest.Wait()
		if got, _ := Call(quiet, at(t, next, "b"), paid); len(got) != 0 {
			t.Errorf("after a crash it was given %v again", got)
		}
	})
}

type plain struct{}

func (plain) Handle(*Self[payment], payment) error { return nil }

func TestHandOverIsAllOrNothing(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		server Server[payment]
		want   error
	}{
		"error":  {&till{broken: boom}, boom},
		"panic":  {&till{panicky: true}, nil},
		"stuck":  {&till{gate: make(chan struct{})}, context.DeadlineExceeded},
		"encode": {&carryingTill{}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := shop(quiet, t, map[string]Server[payment]{"a": &till{}, "m": test.server, "z": &till{}, "y": &till{}})
			defer stop(t, s)
			if name == "stuck" {
				gate := make(chan struct{})
				defer close(gate)
				test.server.(*till).gate = gate
			}
			y := at(t, s, "y")
			if err := y.PID().Suspend(quiet); err != nil {
				t.Fatal(err)
			}
			if name == "encode" { // what waits cannot be carried
				m := at(t, s, "m")
				if err := m.PID().Suspend(quiet); err != nil {
					t.Fatal(err)
				}
				_ = m.Cast("a string")
				defer func() { _ = m.PID().Resume(quiet) }()
			}
			ctx, cancel := context.WithTimeout(quiet, 5e9)
			defer cancel()
			_, err := HandOver(ctx, s)
			if err == nil || !strings.Contains(err.Error(), "m") || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
			for _, id := range []string{"a", "z"} {
				if _, err := Call(quiet, at(t, s, id), paid); err != nil {
					t.Errorf("%s: %s was not resumed: %v", name, id, err)
				}
			}
			if i := y.PID().Info(); i.Status != StatusSuspended {
				t.Errorf("%s: what another hand had suspended is %s", name, i.Status)
			}
		})
	}
}

func TestHandOverRefusesTwoOfOnePath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nested := func(name string, under bool) supervise.ChildSpec {
			return supervise.ChildSpec{ID: name, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
				if under {
					ctx = Under(ctx, name)
				}
				return supervise.Start(ctx, supervise.Flags{Name: name}, []supervise.ChildSpec{
					Child("till", func() Server[payment] { return &till{} }, Options{}),
				}, supervise.Options{})
			}}
		}
		for _, under := range []bool{false, true} {
			s, err := supervise.Start(Under(quiet, "shop"), supervise.Flags{}, []supervise.ChildSpec{nested("eu", under), nested("us", under)}, supervise.Options{})
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := HandOver(quiet, s)
			if under {
				if want := []string{"shop/eu/till", "shop/us/till"}; err != nil || !slices.Equal(snapshot.Left(), want) {
					t.Errorf("%v, %v", snapshot.Left(), err)
				}
			} else if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "shop/till") {
				t.Errorf("two of one path: %v", err)
			}
			stop(t, s)
		}
	})
}

// A dynamic supervisor starts empty: what is left of the snapshot says which children its predecessor had.
func TestHandOverOfDynamicChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tree := func(ctx context.Context) (*supervise.Supervisor, func(id string)) {
			var d *supervise.Dynamic
			s, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{{ID: "rooms", Supervisor: true,
				Start: func(ctx context.Context) (c supervise.Child, err error) {
					d, err = supervise.StartDynamic(Under(ctx, "rooms"), supervise.DynamicFlags{}, supervise.Options{})
					return d, err
				}}}, supervise.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s, func(id string) {
				if _, err := d.StartChild(ctx, Child(id, func() Server[payment] { return &till{} }, Options{})); err != nil {
					t.Fatal(err)
				}
			}
		}
		old, open := tree(quiet)
		for i := range 100 {
			open(fmt.Sprint(i))
		}
		snapshot, err := HandOver(quiet, old)
		stop(t, old)
		if err != nil || len(snapshot.Left()) != 100 {
			t.Fatalf("%d are handed over, %v", len(snapshot.Left()), err)
		}
		next, open := tree(WithHandOver(quiet, snapshot))
		defer stop(t, next)
		for _, path := range snapshot.Left() {
			open(strings.TrimPrefix(path, "rooms/"))
		}
		if left := snapshot.Left(); len(left) != 0 {
			t.Errorf("left is %v", left)
		}
	})
}

func TestHandOverOfMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shop(quiet, t, map[string]Server[payment]{"carries": &carryingTill{}, "loses": &till{}})
		carries, loses := at(t, s, "carries"), at(t, s, "loses")
		for _, r := range []Ref[payment]{carries, loses} {
			if err := r.PID().Suspend(quiet); err != nil {
				t.Fatal(err)
			}
			for i := range 300 {
				_ = r.Cast(i)
			}
		}
		asked := make(chan error, 1)
		go func() { _, err := Call(quiet, carries, paid); asked <- err }()
		synctest.Wait()
		snapshot, err := HandOver(quiet, s)
		if err != nil {
			t.Fatal(err)
		}
		if w := snapshot.Waiting(); len(w) != 0 {
			t.Errorf("%v wait for those that another hand had suspended: they are not the snapshot's", w)
		}
		stop(t, s)
		var end *ExitError
		if err := <-asked; !errors.As(err, &end) {
			t.Errorf("the caller got %v", err)
		}
		if _, err := Start[payment](WithHandOver(quiet, snapshot), &till{}, Options{Label: "carries"}); !errors.Is(err, ErrInvalid) {
			t.Errorf("one that cannot read the messages: %v", err)
		}
		next := shop(WithHandOver(quiet, snapshot), t, map[string]Server[payment]{"carries": &carryingTill{}, "loses": &till{}})
		defer stop(t, next)
		_ = at(t, next, "carries").Cast(300)
		got, _ := Call(quiet, at(t, next, "carries"), paid)
		for i, n := range got {
			if i != n {
				t.Fatalf("payment %d is %d", i, n)
			}
		}
		if len(got) != 301 {
			t.Errorf("%d payments arrived", len(got))
		}
		if got, _ := Call(quiet, at(t, next, "loses"), paid); len(got) != 0 {
			t.Errorf("%v came without a codec", got)
		}
	})
}
