package supervise

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// A Dynamic supervises any number of children of one kind that come and go, without ids or order: connections, jobs,
// sessions. It is OTP's simple_one_for_one in the shape of Elixir's DynamicSupervisor. A child is known by the Child
// that StartChild returned, or that Children lists after it was restarted. Its spec is forgotten as soon as it neither
// runs nor is to be restarted.
//
// All children stop at once, each within its own shutdown time. Starting, stopping and terminating one costs the same
// beside any number of others. All methods are safe for concurrent use; those that take a context wait for the
// outcome, and its end ends only the waiting. A Dynamic is itself a Child.
type Dynamic struct{ loop }

// DynamicFlags are the settings of one Dynamic; they mean what they mean in Flags.
type DynamicFlags struct {
	Name      string
	Intensity int
	Period    time.Duration // zero: 5s
	GiveUp    GiveUp
	// MaxChildren is how many there may be, those being started or restarted included. Zero: any number.
	MaxChildren int
}

// StartDynamic starts a supervisor without children.
func StartDynamic(ctx context.Context, f DynamicFlags, o Options) (*Dynamic, error) {
	flags, err := f.flags()
	if err != nil {
		return nil, err
	}
	d := new(Dynamic)
	if err := d.launch(ctx, newDynamicCore(flags, f.MaxChildren, time.Now(), o.rand()), o); err != nil {
		return nil, err
	}
	return d, nil
}

func (f *DynamicFlags) flags() (Flags, error) {
	if f.MaxChildren < 0 {
		return Flags{}, flaw{"MaxChildren", fmt.Sprintf("is %d, want 0 for no limit, or more", f.MaxChildren)}.of("")
	}
	flags := Flags{Name: f.Name, Intensity: f.Intensity, Period: f.Period, GiveUp: f.GiveUp}
	return flags, validate(&flags, nil)
}

// StartChild starts a child and returns it. The ID of its spec is only a label, for events and people. An error is what
// the StartFunc returned, as it is, or ErrMaxChildren; ErrIgnore too, and then nothing is kept of the spec.
func (d *Dynamic) StartChild(ctx context.Context, spec ChildSpec) (Child, error) {
	label := spec.ID
	if label == "" {
		label = "without id"
	}
	if err := spec.flaw().of(label); err != nil {
		return nil, err
	}
	if spec.Significant {
		return nil, flaw{"Significant", "is set, and a Dynamic has no AutoShutdown: leave it out"}.of(label)
	}
	return d.askChild(ctx, call{op: opStart, spec: spec})
}

// TerminateChild stops a child and whatever restarting of it was planned, and returns when nothing of it is left. One
// that is being restarted is meant by the last Child it was. ErrNotFound tells that this is not a child of d and runs;
// one that has ended needs no terminating.
func (d *Dynamic) TerminateChild(ctx context.Context, child Child) error {
	if child == nil {
		return fmt.Errorf("terminate nil: %w", ErrNotFound)
	}
	if !reflect.ValueOf(child).Comparable() {
		return fmt.Errorf("%w child: a %T cannot be told from another of its kind; let its StartFunc return a pointer",
			ErrInvalid, child)
	}
	err := d.ask(ctx, call{op: opTerminate, child: child})
	if errors.Is(err, ErrNotFound) {
		select {
		case <-child.Done():
			return nil
		default:
		}
	}
	return err
}

// Change replaces the flags while the children run. A lower MaxChildren ends none of them.
func (d *Dynamic) Change(ctx context.Context, f DynamicFlags) error {
	flags, err := f.flags()
	if err != nil {
		return err
	}
	return d.ask(ctx, call{op: opChange, to: &settings{flags: flags, most: f.MaxChildren}})
}

// Flags returns the settings, with their defaults filled in.
func (d *Dynamic) Flags() DynamicFlags {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.core.flags
	return DynamicFlags{
		Name: f.Name, Intensity: f.Intensity, Period: f.Period, GiveUp: f.GiveUp, MaxChildren: d.core.most,
	}
}
