package draw

import (
	"fmt"

	"semper"
	"semper/api"
)

// scalingLine says of a service that is scaled by itself how many there are, may be and why.
func scalingLine(st *api.Status, s *api.Scaling, p Paint) string {
	now, ready := st.Scale[s.Service], 0
	for i := range st.Instances {
		if in := &st.Instances[i]; in.Service == s.Service && in.Release == st.Release && in.State == semper.Ready {
			ready++
		}
	}
	out := fmt.Sprintf("  %s: %d of %d to %d", s.Service, now, s.Min, s.Max)
	switch {
	case s.ByHand:
		return p.Warn("↕ by hand") + fmt.Sprintf("  %s: %d until the next deploy; semper scale %s=auto", s.Service, now, s.Service) + Scope(st.App, st.Environment)
	case now == 0:
		return p.Dim("☾ asleep") + fmt.Sprintf("  %s: a request or a job wakes it", s.Service)
	case ready == 0:
		return p.Warn("↕ wakes") + out + "; none is ready yet"
	}
	out = p.Good("↕ auto") + out
	if s.Why != "" {
		out += ": " + OneLine(s.Why)
	}
	return out
}
