package keeper

import (
	"time"

	"semper"
	"semper/keeper/journal"
	"semper/keeper/trees"
	"semper/supervise"
)

// observe is told by every supervisor what happened to its children, in order.
func (k *keeper) observe(ev supervise.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.members[ev.Child]
	if m == nil {
		return
	}
	switch ev.Kind {
	case supervise.Ended, supervise.Stopped, supervise.Terminated:
		k.endedLocked(m, ev)
	case supervise.Restarting:
		m.rec.Restarts++
	}
}

// endedLocked records the end of m's incarnation and what its supervisor does about it.
func (k *keeper) endedLocked(m *member, ev supervise.Event) {
	c := m.cur
	m.cur = nil
	m.rec.Identity.PID, m.rec.Identity.StartTicks = 0, 0
	switch {
	case ev.Kind != supervise.Ended || ev.Decision == "none":
		m.state = semper.Ended
		// While everything is being stopped, what ended is still wanted the next time.
		m.rec.Ended = !k.stopping || once(m.rec)
	case ev.Delay > 0:
		m.state = semper.Waiting
	default:
		m.state = semper.Starting
	}
	if c != nil {
		end := c.end
		end.Decision, end.Window = ev.Decision, ev.Window
		if end.Decision == "" {
			end.Decision = "none"
		}
		if ev.Kind == supervise.Ended && !ev.Reason.External && ev.Window > m.limit.Intensity {
			end.GaveUp = true
		}
		m.rec.LastEnd = &end
		k.reportLocked(m, end)
		k.trees.End(trees.Member{Name: m.rec.Name, Incarnation: c.n})
	}
	k.saveLocked(m)
	k.changedLocked(m)
}

// reportLocked leaves a crash report of an end that needs one.
func (k *keeper) reportLocked(m *member, end semper.End) {
	attrs := []any{"what", m.rec.Name, "pid", end.PID, "reason", end.Reason.String(), "decision", end.Decision}
	if !end.Reason.Abnormal() {
		k.log.Info("ended", attrs...)
		return
	}
	k.log.Warn("ended abnormally", attrs...)
	r := semper.CrashReport{
		At: end.At, Reason: end.Reason, PID: end.PID, Uptime: end.Uptime,
		Window: end.Window, Decision: end.Decision, Tail: end.Tail, Peak: end.Peak,
		Intensity: semper.Intensity{Restarts: m.limit.Intensity, Within: semper.Duration(m.limit.Period)},
	}
	m.signLocked(&r)
	k.fileReport(r, nil)
}

// signLocked has r say that it is about m.
func (m *member) signLocked(r *semper.CrashReport) {
	r.What, r.Restarts = m.rec.Name, m.rec.Restarts
	if in := m.rec.Instance; in != nil {
		s := in.Spec
		r.App, r.Environment, r.Service, r.Release, r.LastGood = s.App, s.Environment, s.Service, s.Release, s.Previous
	} else {
		r.What = "semper " + m.rec.Part.Kind
	}
}

// fileReport has r written in its turn. then, which may be nil, is called with mu held when that is done.
func (k *keeper) fileReport(r semper.CrashReport, then func()) {
	k.journal.Do(func() {
		if _, err := k.crashes.Add(r); err != nil {
			k.log.Error("crash report not written", "what", r.What, "error", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if then != nil {
			then()
		}
		k.changedLocked(nil)
	})
}

// endedUnseen records that m's process ended while no keeper lived.
func (k *keeper) endedUnseen(m *member, reason semper.Reason, tail []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	decision := "restart at once"
	if m.rec.Desired == journal.Stop || once(m.rec) {
		decision = "none"
	}
	end := semper.End{
		Reason: reason, At: time.Now(), Incarnation: m.rec.Incarnation, PID: m.rec.Identity.PID,
		Decision: decision, Tail: tail,
	}
	m.rec.Identity.PID, m.rec.Identity.StartTicks = 0, 0
	m.rec.LastEnd = &end
	if decision != "none" {
		m.rec.Restarts++
	}
	k.reportLocked(m, end)
	k.saveLocked(m)
}
