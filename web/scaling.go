package web

import (
	"fmt"
	"slices"

	"semper"
	"semper/api"
)

// scaled are the services of an environment that are scaled by themselves, as lines.
func scaled(st api.Status) []scaledLine {
	var out []scaledLine
	for _, s := range st.Scaling {
		now := st.Scale[s.Service]
		l := scaledLine{Service: s.Service, Says: fmt.Sprintf("%d of %d to %d", now, s.Min, s.Max), Why: s.Why}
		switch {
		case s.ByHand:
			l.Mark = mark{"half", "warn", "by hand"}
			l.Says = fmt.Sprint(now)
		case now == 0:
			l.Mark, l.Why = mark{"ring", "off", "asleep"}, "a request or a job wakes it"
		case wakes(st, s):
			l.Mark, l.Why = mark{"half", "busy", "waking"}, "none is ready yet"
		default:
			l.Mark = mark{"check", "ok", "auto"}
		}
		out = append(out, l)
	}
	return out
}

// A scaledLine is one service that is scaled by itself.
type scaledLine struct {
	Mark               mark
	Service, Says, Why string
}

// wakes reports whether the service may sleep, and has instances none of which is ready.
func wakes(st api.Status, s api.Scaling) bool {
	ready := slices.ContainsFunc(st.Instances, func(in api.Instance) bool {
		return in.Service == s.Service && in.Role == "current" && in.State == semper.Ready
	})
	return s.Min == 0 && !s.ByHand && st.Scale[s.Service] > 0 && !ready
}

// sleepMark is how it is with an environment without a ready instance, where that is as it should be.
func sleepMark(st api.Status) (mark, bool) {
	asleep, waking := 0, 0
	for _, s := range st.Scaling {
		switch {
		case s.Min == 0 && !s.ByHand && st.Scale[s.Service] == 0:
			asleep++
		case wakes(st, s):
			waking++
		}
	}
	switch {
	case waking > 0 && asleep+waking == len(st.Scale):
		return mark{"half", "busy", "waking"}, true
	case asleep > 0 && asleep == len(st.Scale):
		return mark{"ring", "off", "asleep"}, true
	}
	return mark{}, false
}
