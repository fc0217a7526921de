package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"semper/supervise"
)

type tag string

// TestOnBehalf starts a process for a caller below a supervisor that another process started.
func TestOnBehalf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var report CrashReport
		base := WithReporter(context.Background(), func(c CrashReport) { report = c })
		var d *supervise.Dynamic
		boss, _ := Start[any](context.WithValue(base, tag("boss"), 1), &script{init: func(self *Self[any]) (err error) {
			d, err = supervise.StartDynamic(self, supervise.DynamicFlags{}, supervise.Options{})
			return err
		}}, Options{Label: "boss"})
		var values []any
		work := func(of context.Context) (supervise.Child, error) {
			return d.StartChild(quiet, supervise.ChildSpec{Restart: supervise.Temporary, Start: func(ctx context.Context) (supervise.Child, error) {
				ref, err := Start[any](OnBehalf(ctx, of), &script{init: func(self *Self[any]) error {
					values = append(values, self.Value(tag("boss")), self.Value(tag("caller")))
					return nil
				}}, Options{Label: "work"})
				return ref.PID().Child(), err
			}})
		}
		start := func(of context.Context) PID {
			c, err := work(of)
			if err != nil {
				t.Fatal(err)
			}
			return c.(interface{ PID() PID }).PID()
		}
		var first, second PID
		caller, _ := Start[any](context.WithValue(base, tag("caller"), 2), &script{handle: func(self *Self[any], _ any) error {
			first = start(self)
			return nil
		}}, Options{Label: "caller"})
		_ = caller.Cast(1)
		synctest.Wait()
		if !slices.Equal(values, []any{1, 2}) {
			t.Errorf("values %v", values)
		}
		second = start(selfOf(t, first))
		for _, c := range []struct {
			id   PID
			want []PID
		}{{first, []PID{caller.PID()}}, {second, []PID{first, caller.PID()}}} {
			ref, _ := RefOf[any](c.id)
			_ = ref.Cast(errors.New("boom"))
			synctest.Wait()
			want := make([]string, len(c.want))
			for i, id := range c.want {
				want[i] = id.String()
			}
			if !slices.Equal(report.Callers, want) || !slices.Equal(report.Ancestors, []string{boss.PID().String()}) {
				t.Errorf("of %v: callers %v, want %v; ancestors %v", c.id, report.Callers, want, report.Ancestors)
			}
		}
		if err := d.Stop(quiet); err != nil {
			t.Error(err)
		}
		boss.PID().Kill()
		caller.PID().Kill()
	})
}

// selfOf is the context of a process that lives.
func selfOf(t *testing.T, id PID) context.Context {
	t.Helper()
	return id.p.self.(*Self[any])
}

func TestStopped(t *testing.T) {
	t.Parallel()
	r := Reason{Kind: Shutdown}
	if got, ok := Stopped(fmt.Errorf("as asked: %w", Stop(r))); !ok || got != r {
		t.Errorf("%v, %v", got, ok)
	}
	if got, ok := Stopped(Stop(Reason{})); !ok || got.Kind != Normal {
		t.Errorf("%v, %v", got, ok)
	}
	for _, err := range []error{nil, errors.New("boom")} {
		if _, ok := Stopped(err); ok {
			t.Errorf("%v is a stop", err)
		}
	}
	if (PID{}).Child() != nil {
		t.Error("nobody is a child")
	}
}
