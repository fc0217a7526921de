package rollout

import "semper"

// Busy reports whether env waits for what edges have in hand.
func Busy(e semper.Environment) bool {
	r := e.Rollout
	if len(e.Retiring) > 0 || r == nil {
		return len(e.Retiring) > 0
	}
	switch r.State {
	case semper.RolloutHold, semper.RolloutConnect, semper.RolloutDrain, semper.RolloutRollingBack:
		return true
	}
	return r.State == semper.RolloutTrial && r.Trial.Since.IsZero()
}
