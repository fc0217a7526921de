package supervise

import (
	"fmt"
	"time"
)

const defaultPeriod = 5 * time.Second

// validate refuses settings that have no meaning, and fills in the period.
func validate(f *Flags, specs []ChildSpec) error {
	if f.Period == 0 {
		f.Period = defaultPeriod
	}
	switch {
	case f.Strategy < OneForOne || f.Strategy > OneForAll:
		return fmt.Errorf("%w strategy: %v", ErrInvalid, f.Strategy)
	case f.Intensity < 0:
		return fmt.Errorf("%w intensity: %d, want 0 or more", ErrInvalid, f.Intensity)
	case f.Period < 0:
		return fmt.Errorf("%w period: %v, want more than 0", ErrInvalid, f.Period)
	case f.GiveUp < Escalate || f.GiveUp > Persist:
		return fmt.Errorf("%w give-up: %v", ErrInvalid, f.GiveUp)
	}
	ids := make(map[string]bool, len(specs))
	for _, s := range specs {
		if err := s.validate(); err != nil {
			return err
		}
		if ids[s.ID] {
			return fmt.Errorf("%w children: two with the id %q", ErrInvalid, s.ID)
		}
		ids[s.ID] = true
	}
	return nil
}

func (s *ChildSpec) validate() error {
	switch {
	case s.ID == "":
		return fmt.Errorf("%w child: no id", ErrInvalid)
	case s.Start == nil:
		return fmt.Errorf("%w child %s: no start", ErrInvalid, s.ID)
	case s.Restart < Permanent || s.Restart > Temporary:
		return fmt.Errorf("%w child %s: restart type %v", ErrInvalid, s.ID, s.Restart)
	case s.Shutdown < Infinity:
		return fmt.Errorf("%w child %s: shutdown %v", ErrInvalid, s.ID, s.Shutdown)
	}
	b := s.Backoff
	switch {
	case b.Min < 0 || b.Max < 0 || b.Reset < 0:
		return fmt.Errorf("%w child %s: back-off with a negative time", ErrInvalid, s.ID)
	case !(b.Factor >= 0):
		return fmt.Errorf("%w child %s: back-off factor %v, want 0 or more", ErrInvalid, s.ID, b.Factor)
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return fmt.Errorf("%w child %s: back-off jitter %v, want 0 to 1", ErrInvalid, s.ID, b.Jitter)
	}
	return nil
}
