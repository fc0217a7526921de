package supervise

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Children lists the children in start order. It never waits for a start or a stop.
func (l *loop) Children() []ChildInfo {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	infos := make([]ChildInfo, 0, l.core.kids.size)
	for k := range l.core.kids.forward() {
		infos = append(infos, l.core.info(k, now))
	}
	return infos
}

// Count counts the children.
func (l *loop) Count() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.kids.count()
}

// Window is the number of restarts that count towards the intensity now.
func (l *loop) Window() int {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.window.size(now, l.core.flags.Period)
}

// Stop stops all children and ends the supervisor: those of a Supervisor in reverse start order, each after the one
// after it is gone, those of a Dynamic all at once. When ctx ends first, the stopping goes on, and the error says who
// is blocking it.
func (l *loop) Stop(ctx context.Context) error {
	l.Shutdown()
	if ctx == nil {
		return usable(ctx)
	}
	select {
	case <-l.done:
		return nil
	case <-l.gone:
	case <-ctx.Done():
		err := fmt.Errorf("supervisor %s is still stopping: %w", l.name(), context.Cause(ctx))
		if who := l.Blocking(); len(who) > 0 {
			err = fmt.Errorf("%w; waiting for %s", err, strings.Join(who, ", "))
		}
		return err
	}
	select {
	case <-l.done:
		return nil
	default:
		return ErrReleased
	}
}

func (l *loop) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.flags.Name
}

// Blocking answers who is blocking a stop: the children that were asked to end, or whose start was cancelled, and are
// not gone yet. A child inside a nested supervisor is named by its path, outermost first, joined by "/".
func (l *loop) Blocking() []string {
	type blocker struct {
		id    string
		child Child
	}
	var blockers []blocker
	l.mu.Lock()
	for k := range l.core.kids.forward() {
		switch {
		case k.phase == stopping:
			blockers = append(blockers, blocker{k.name(), k.child})
		case k.phase == starting && k.doomed:
			blockers = append(blockers, blocker{k.name(), nil})
		}
	}
	l.mu.Unlock()
	var who []string
	for _, b := range blockers {
		inner, _ := b.child.(interface{ Blocking() []string })
		var below []string
		if inner != nil {
			below = inner.Blocking()
		}
		for _, id := range below {
			who = append(who, b.id+"/"+id)
		}
		if len(below) == 0 {
			who = append(who, b.id)
		}
	}
	return who
}

// Done is closed when the supervisor has ended and none of its children runs: after Stop, Shutdown, Kill or an
// escalation. Release does not close it, because the children live on.
func (l *loop) Done() <-chan struct{} { return l.done }

// Notify calls f once, when Done is closed: a Supervisor is a Notifier.
func (l *loop) Notify(f func()) {
	l.mu.Lock()
	if !l.told {
		l.notified = append(l.notified, f)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	f()
}

// Reason says why the supervisor ended; meaningful after Done. An escalation is a Shutdown with ErrIntensity in Err,
// an automatic shutdown one with ErrAutoShutdown.
func (l *loop) Reason() Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.reason
}

// Shutdown is Stop without waiting.
func (l *loop) Shutdown() { l.box.put(stop{reason: Reason{Kind: Shutdown}}) }

// Kill kills all children at once, without asking and in no order. Done is closed when they are gone.
func (l *loop) Kill() { l.box.put(kill{}) }

// Release ends the supervisor without touching its children, and waits until its own goroutines have ended. Starts
// under way are cancelled with ErrReleased as the cause; a child that comes out of one all the same is left alone too.
// Children that have a Release method, nested supervisors above all, are released as well. Afterwards every call
// answers ErrReleased. Release must not be called by Observe or by a StartFunc of the supervisor.
func (l *loop) Release() {
	l.release.Do(func() {
		close(l.released)
		l.box.knock()
	})
	<-l.gone
}
