package supervise

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// fields are all that an InvalidError may name.
var fields = []string{
	"Strategy", "Intensity", "Period", "GiveUp", "AutoShutdown", "MaxChildren",
	"ID", "Start", "Restart", "Significant", "Shutdown",
	"Backoff.Min", "Backoff.Max", "Backoff.Reset", "Backoff.Factor", "Backoff.Jitter",
}

// FuzzSpecs gives any flags and specs to everything that takes them. Each either works, from start over a crash to the
// end, or is refused with an error that names the child and the field.
func FuzzSpecs(f *testing.F) {
	f.Add("a", "b", 0, 1, int64(time.Second), 0, 0, int8(0), false, int64(0), int64(0), int64(0), 0.0, 0.0, int64(0), 0, byte(0))
	f.Add("a", "a", 1, 0, int64(0), 1, 1, int8(1), true, int64(-1), int64(1), int64(2), 2.0, 0.5, int64(3), 1, byte(1))
	f.Add("", "b", -1, -1, int64(-1), 2, 3, int8(-1), true, int64(-3), int64(-1), int64(-1), -1.0, 2.0, int64(-1), -1, byte(2))
	f.Add("a", "", 2, 1<<62, int64(1)<<62, 1, 2, int8(2), true, int64(1)<<62, int64(1), int64(1)<<62, 1e300, 1.0, int64(1)<<62, 9, byte(3))
	f.Fuzz(func(t *testing.T, id1, id2 string, strategy, intensity int, period int64, giveUp, auto int,
		restart int8, significant bool, shutdown, least, most int64, factor, jitter float64, reset int64, max int, kind byte,
	) {
		flags := Flags{
			Name: id1, Strategy: Strategy(strategy), Intensity: intensity, Period: time.Duration(period),
			GiveUp: GiveUp(giveUp), AutoShutdown: AutoShutdown(auto),
		}
		start := newStill
		switch kind % 4 {
		case 1:
			start = func(context.Context) (Child, error) { return nil, ErrIgnore }
		case 2:
			start = nil
		case 3:
			start = Serve(until)
		}
		spec := ChildSpec{
			ID: id1, Start: start, Restart: RestartType(restart), Shutdown: time.Duration(shutdown), Significant: significant,
			Backoff: Backoff{
				Min: time.Duration(least), Max: time.Duration(most), Factor: factor, Jitter: jitter, Reset: time.Duration(reset),
			},
		}
		other := ChildSpec{ID: id2, Start: newStill}
		fuzzSupervisor(t, flags, spec, other)
		fuzzDynamic(t, DynamicFlags{Name: id1, Intensity: intensity, Period: flags.Period, GiveUp: flags.GiveUp, MaxChildren: max}, spec)
		fuzzPartitions(t, flags, spec)
	})
}

func fuzzSupervisor(t *testing.T, f Flags, spec, other ChildSpec) {
	t.Helper()
	s, err := Start(bg, f, []ChildSpec{spec, other}, Options{})
	if refused(t, err, spec.ID, other.ID) {
		return
	}
	defer end(s)
	refused(t, s.StartChild(bg, spec), spec.ID)
	refused(t, s.Change(bg, f, []ChildSpec{other, spec}), spec.ID, other.ID)
	ends(s.Children())
}

func fuzzDynamic(t *testing.T, f DynamicFlags, spec ChildSpec) {
	t.Helper()
	d, err := StartDynamic(bg, f, Options{})
	if refused(t, err) {
		return
	}
	defer end(d)
	child, err := d.StartChild(bg, spec)
	if !refused(t, err, spec.ID) && err == nil {
		ends(d.Children())
		if err := d.TerminateChild(bg, child); err != nil && !errors.Is(err, ErrStopping) && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func fuzzPartitions(t *testing.T, f Flags, spec ChildSpec) {
	t.Helper()
	p, err := StartPartitions(bg, PartitionFlags{
		Partitions: 2, Strategy: f.Strategy, Intensity: f.Intensity, Period: f.Period, GiveUp: f.GiveUp,
	}, func(int) ChildSpec { return spec }, Options{})
	if !refused(t, err, "0") {
		end(p)
	}
}

func end(s Child) {
	s.Kill()
	<-s.Done()
}

// ends makes children end by a fault of their own.
func ends(children []ChildInfo) {
	for _, c := range children {
		if s, ok := c.Child.(*still); ok {
			s.ends(Reason{Kind: Crash, Err: errBoom})
		}
	}
}

// refused checks an error, if it is one about settings.
func refused(t *testing.T, err error, ids ...string) bool {
	t.Helper()
	if !errors.Is(err, ErrInvalid) {
		return err != nil
	}
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%v is no InvalidError", err)
	}
	named := invalid.Child == "" || slices.Contains(ids, invalid.Child) ||
		slices.Contains(ids, "") && (strings.HasPrefix(invalid.Child, "#") || invalid.Child == "without id")
	if !named || !slices.Contains(fields, invalid.Field) || invalid.Why == "" {
		t.Fatalf("%q names child %q and field %q", err, invalid.Child, invalid.Field)
	}
	if !strings.Contains(err.Error(), invalid.Child) || !strings.Contains(err.Error(), invalid.Field) {
		t.Fatalf("%q does not say so", err)
	}
	return true
}
