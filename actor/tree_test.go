package actor

import (
	"context"
	"testing"

	"semper/supervise"
)

// TestTreeStartedByAProcessIsNotThatProcess: what a process has supervised may call it, and is its descendant.
func TestTreeStartedByAProcessIsNotThatProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s *supervise.Supervisor
		var below *Self[any]
		answered := make(chan error, 1)
		name := NewName[any]("parent")
		parent, err := Start[any](quiet, &script{init: func(self *Self[any]) (err error) {
			s, err = supervise.Start(self, supervise.Flags{}, []supervise.ChildSpec{
				Child("below", func() Server[any] {
					return &script{init: func(self *Self[any]) error { below = self; return nil }}
				}, Options{}),
				{ID: "service", Start: supervise.Serve(func(ctx context.Context) error {
					_, err := Call(ctx, name, ask)
					answered <- err
					<-ctx.Done()
					return nil
				})},
			}, supervise.Options{})
			return err
		}}, Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the service's call of its starter: %v", err)
		}
		if got := below.PID().Info().Ancestors; len(got) != 1 || got[0] != parent.PID().String() {
			t.Errorf("ancestors %q", got)
		}
		if err := s.Stop(quiet); err != nil {
			t.Error(err)
		}
		parent.PID().Kill()
	})
}
