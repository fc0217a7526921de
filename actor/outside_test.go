package actor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefOfIsChecked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := Start[any](quiet, &script{}, Options{})
		if r, err := RefOf[any](a.PID()); err != nil || r != a {
			t.Errorf("%v, %v", r, err)
		}
		if _, err := RefOf[int](a.PID()); !errors.Is(err, ErrInvalid) {
			t.Errorf("of another type: %v", err)
		}
		if _, err := RefOf[any](PID{}); !errors.Is(err, ErrNoProc) {
			t.Errorf("of nobody: %v", err)
		}
		a.PID().Kill()
		if r, err := RefOf[any](a.PID()); err != nil || !errors.Is(r.Cast(1), ErrNoProc) {
			t.Errorf("of the dead: %v", err)
		}
	})
}

func TestCallerIsWhoTheContextBelongsTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		if Caller(quiet) != (PID{}) || Caller(nil) != (PID{}) { //nolint:staticcheck // nil is what is tested
			t.Error("a context of no process has a caller")
		}
		var got []PID
		a, _ := Start[any](quiet, &script{handle: func(self *Self[any], _ any) error {
			derived, cancel := context.WithTimeout(self, time.Second)
			defer cancel()
			var p Process = self
			got = append(got, Caller(self), Caller(derived), p.PID())
			return nil
		}}, Options{})
		_ = a.Cast(1)
		synctest.Wait()
		if want := []PID{a.PID(), a.PID(), a.PID()}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		a.PID().Kill()
	})
}

func TestInformComesInOrderAndAlwaysFits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		note := func(_ *Self[any], v any) error { got = append(got, v); return nil }
		a, _ := Start[any](quiet, &script{handle: note, info: note}, Options{Mailbox: Mailbox{Limit: 1}})
		hold := make(chan struct{})
		_ = a.Cast(func() { <-hold })
		synctest.Wait()
		err := errors.Join(a.Cast(1), a.PID().Inform(2), a.PID().Inform(3))
		close(hold)
		synctest.Wait()
		if want := []any{1, 2, 3}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
		if err := a.PID().Inform(nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("nil: %v", err)
		}
		a.PID().Kill()
		if err := a.PID().Inform(4); !errors.Is(err, ErrNoProc) {
			t.Errorf("the dead: %v", err)
		}
		if err := (PID{}).Inform(4); !errors.Is(err, ErrNoProc) {
			t.Errorf("nobody: %v", err)
		}
	})
}

// plate is a Registrar that cannot be compared.
type plate []PID

func (plate) Register(PID) error { return nil }
func (plate) Unregister(PID)     {}

func TestNamesFromOutside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		a, _ := Start[any](quiet, &script{}, Options{})
		b, _ := Start[any](quiet, &script{}, Options{})
		if err := a.PID().Register(name); err != nil {
			t.Fatal(err)
		}
		var taken *AlreadyStartedError
		if err := b.PID().Register(name); !errors.As(err, &taken) || taken.PID != a.PID() {
			t.Errorf("taken: %v", err)
		}
		b.PID().Unregister(name) // is not its
		if r, err := name.Resolve(); err != nil || r != a {
			t.Errorf("%v, %v", r, err)
		}
		a.PID().Unregister(name)
		if err := b.PID().Register(name); err != nil {
			t.Errorf("given back: %v", err)
		}
		if n := len(a.s.names); n != 0 {
			t.Errorf("%d names are remembered", n)
		}
		a.PID().Kill()
		if r, err := name.Resolve(); err != nil || r != b {
			t.Errorf("the end of one that gave it back took it: %v, %v", r, err)
		}
		if err := a.PID().Register(name); err == nil {
			t.Error("the dead got a name")
		}
		b.PID().Unregister(nil)
		b.PID().Unregister(plate{})
		b.PID().Kill()
		if err := errors.Join(a.PID().Register(name), (PID{}).Register(name)); !errors.Is(err, ErrNoProc) {
			t.Errorf("the dead: %v", err)
		}
		(PID{}).Unregister(name)
	})
}
