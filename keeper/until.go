package keeper

import (
	"fmt"
	"strings"
	"time"

	"semper"
)

// limitRun has an instance told to end when its time is over ([semper.InstanceSpec].Until). That is kept here and not where it
// was decided: requests may wait for the end of it, and control and the store may be away. m is under its supervisor, which
// stops it as any other. The goroutine ends then, or with c, or with the keeper, whose successor limits what it adopts.
func (k *keeper) limitRun(m *member, c *incarnation) {
	k.mu.Lock()
	in := m.rec.Instance
	k.mu.Unlock()
	if in == nil || in.Spec.Until.IsZero() || c.p == nil {
		return
	}
	id, until := in.Spec.ID, in.Spec.Until
	k.goBackground(func() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		select {
		case <-t.C:
			c.overdue.Store(true)
			if err := k.stopInstance(id, "its time is over"); err != nil {
				k.log.Error("instance not ended in its time", "what", id, "error", err)
			}
		case <-c.p.Exited():
		case <-k.life.Done():
		}
	})
}

// overdue is how an end is told that r was the end of, after the time for it was over. What had ended by itself before anybody
// asked, or crashed, is told as it was.
func overdue(r semper.Reason) semper.Reason {
	switch r.Kind {
	case semper.ReasonShutdown:
		return semper.Reason{Kind: semper.ReasonDeadline, Detail: strings.TrimSpace("it ended when it was told to " + r.Detail)}
	case semper.ReasonKilled:
		return semper.Reason{Kind: semper.ReasonDeadline, Signal: r.Signal, Detail: "nor when it was told to, and was killed after its stop timeout"}
	}
	return r
}

// tooLate refuses to begin what would have had to end already.
func tooLate(s semper.InstanceSpec, now time.Time) error {
	if s.Until.IsZero() || now.Before(s.Until) {
		return nil
	}
	return &semper.Error{
		Code: semper.Invalid, Op: "start " + string(s.ID),
		Message: fmt.Sprintf("its time was over at %s, before it could begin", s.Until.UTC().Format(time.RFC3339)),
	}
}
