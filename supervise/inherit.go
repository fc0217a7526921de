package supervise

import (
	"context"
	"time"
)

// Personal is the key of a context value that is a matter of who holds the context, such as which process it is: what
// a supervisor starts does not inherit the value from whoever started the supervisor.
type Personal interface{ Personal() }

// inherited are the values of a supervisor's starter, for its children: they have no end. It is a pointer and no
// context.WithoutCancel, in which each look for a value allocates.
type inherited struct{ from context.Context }

func (c *inherited) Value(key any) any {
	if _, ok := key.(Personal); ok {
		return nil
	}
	return c.from.Value(key)
}

func (c *inherited) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (c *inherited) Done() <-chan struct{}                   { return nil }
func (c *inherited) Err() error                              { return nil }
