package supervise

import (
	"fmt"
	"time"
)

const defaultPeriod = 5 * time.Second

// An InvalidError is a setting that has no meaning. It wraps ErrInvalid.
type InvalidError struct {
	Child string // its id, or its place among the specs ("#0") when it has none; empty when it is the supervisor's own
	Field string // of the flags or the ChildSpec, or below ("Backoff.Min"); or the parameter
	Why   string // what it is, and what is wanted
}

func (e *InvalidError) Error() string {
	if e.Child == "" {
		return fmt.Sprintf("%v supervisor: %s %s", ErrInvalid, e.Field, e.Why)
	}
	return fmt.Sprintf("%v child %s: %s %s", ErrInvalid, e.Child, e.Field, e.Why)
}

// Unwrap returns ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// A flaw is a field and what is wrong with it; the zero flaw is none.
type flaw struct{ field, why string }

func (f flaw) of(child string) error {
	if f == (flaw{}) {
		return nil
	}
	return &InvalidError{Child: child, Field: f.field, Why: f.why}
}

// validate refuses settings that have no meaning, and fills in the period.
func validate(f *Flags, specs []ChildSpec) error {
	if f.Period == 0 {
		f.Period = defaultPeriod
	}
	if err := f.flaw().of(""); err != nil {
		return err
	}
	ids := make(map[string]bool, len(specs))
	for i := range specs {
		s := &specs[i]
		if err := s.check(i, *f); err != nil {
			return err
		}
		if ids[s.ID] {
			return flaw{"ID", "is that of another child too, want one of its own"}.of(s.ID)
		}
		ids[s.ID] = true
	}
	return nil
}

func (f *Flags) flaw() flaw {
	switch {
	case f.Strategy < OneForOne || f.Strategy > OneForAll:
		return flaw{"Strategy", fmt.Sprintf("is %v, want OneForOne, RestForOne or OneForAll", f.Strategy)}
	case f.Intensity < 0:
		return flaw{"Intensity", fmt.Sprintf("is %d, want 0 or more", f.Intensity)}
	case f.Period < 0:
		return flaw{"Period", fmt.Sprintf("is %v, want more than 0, or 0 for %v", f.Period, defaultPeriod)}
	case f.GiveUp < Escalate || f.GiveUp > Persist:
		return flaw{"GiveUp", fmt.Sprintf("is %v, want Escalate or Persist", f.GiveUp)}
	case f.AutoShutdown < Never || f.AutoShutdown > AllSignificant:
		return flaw{"AutoShutdown", fmt.Sprintf("is %v, want Never, AnySignificant or AllSignificant", f.AutoShutdown)}
	}
	return flaw{}
}

// check is for the i-th child of a supervisor with ids.
func (s *ChildSpec) check(i int, f Flags) error {
	if s.ID == "" {
		return flaw{"ID", "is empty, want one of its own"}.of(fmt.Sprintf("#%d", i))
	}
	if s.Significant && f.AutoShutdown == Never {
		return flaw{"Significant", "is set, and the supervisor's AutoShutdown is Never: set one that heeds it"}.of(s.ID)
	}
	return s.flaw().of(s.ID)
}

func (s *ChildSpec) flaw() flaw {
	b := s.Backoff
	switch {
	case s.Start == nil:
		return flaw{"Start", "is nil, want a function that starts the child"}
	case s.Restart < Permanent || s.Restart > Temporary:
		return flaw{"Restart", fmt.Sprintf("is %v, want Permanent, Transient or Temporary", s.Restart)}
	case s.Significant && s.Restart == Permanent:
		return flaw{"Significant", "is set, and the child is Permanent, which always restarts: want Transient or Temporary"}
	case s.Shutdown < Infinity:
		return flaw{"Shutdown", fmt.Sprintf("is %v, want 0 or more, Brutal or Infinity", s.Shutdown)}
	case b.Min < 0:
		return flaw{"Backoff.Min", fmt.Sprintf("is %v, want 0 or more", b.Min)}
	case b.Max < 0:
		return flaw{"Backoff.Max", fmt.Sprintf("is %v, want 0 or more", b.Max)}
	case b.Reset < 0:
		return flaw{"Backoff.Reset", fmt.Sprintf("is %v, want 0 or more", b.Reset)}
	case !(b.Factor >= 0):
		return flaw{"Backoff.Factor", fmt.Sprintf("is %v, want 0 or more", b.Factor)}
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return flaw{"Backoff.Jitter", fmt.Sprintf("is %v, want 0 to 1", b.Jitter)}
	}
	return flaw{}
}
