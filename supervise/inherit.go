package supervise

import "context"

// Personal is the key of a context value that is a matter of who holds the context, such as which process it is: what
// a supervisor starts does not inherit the value from whoever started the supervisor.
type Personal interface{ Personal() }

// inherited are the values of a supervisor's starter, for its children.
type inherited struct{ context.Context }

func (c inherited) Value(key any) any {
	if _, ok := key.(Personal); ok {
		return nil
	}
	return c.Context.Value(key)
}
