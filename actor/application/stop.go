package application

import (
	"context"
	"slices"
)

// Stop stops one application and returns when nothing of it is left. It concerns nobody else, whatever its type, even
// when others depend on it. A *NotStartedError says that it does not run, also when its start is still under way: that
// is broken off by the end of its context. When ctx ends first, the stopping goes on, and the *StopError says who is
// blocking it.
func (c *Controller) Stop(ctx context.Context, app string) error {
	if ctx == nil {
		return errNoContext
	}
	if b := callbackOf(ctx, c); b != nil && b.run.app.Name == app {
		return b.deadlock("Stop", "return an error, or let another goroutine stop it")
	}
	c.mu.Lock()
	a := c.apps[app]
	if a == nil {
		defer c.mu.Unlock()
		return c.unknown(app)
	}
	r := a.run
	if r == nil || r.state == StateStarting {
		c.mu.Unlock()
		return &NotStartedError{Name: app}
	}
	r.askToStop()
	c.mu.Unlock()
	select {
	case <-r.gone:
		return nil
	case <-ctx.Done():
		return &StopError{What: "application " + app + " is", Blocking: r.blocking(), Err: context.Cause(ctx)}
	}
}

// Blocking answers who is blocking a stop: "db/pool" is the child pool in the tree of the application db, as the top of
// that tree tells, "db: PrepStop" a function of it that has not returned.
func (c *Controller) Blocking() []string {
	c.mu.Lock()
	var runs []*run
	for _, a := range c.apps {
		r := a.run
		if r != nil && (r.state == StateStopping || r.asked || c.closed && r.state == StateStarting && r.step != "") {
			runs = append(runs, r)
		}
	}
	c.mu.Unlock()
	var who []string
	for _, r := range runs {
		who = append(who, r.blocking()...)
	}
	slices.Sort(who)
	return who
}

func (r *run) blocking() []string {
	r.c.mu.Lock()
	step, child := r.step, r.child
	r.c.mu.Unlock()
	if step != "" {
		return []string{r.app.Name + ": " + step}
	}
	var who []string
	if inner, ok := child.(interface{ Blocking() []string }); ok {
		for _, id := range inner.Blocking() {
			who = append(who, r.app.Name+"/"+id)
		}
	}
	if len(who) == 0 {
		who = append(who, r.app.Name)
	}
	return who
}
