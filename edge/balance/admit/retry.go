package admit

// An Attempt is what is known of a request after it was given to a backend in vain.
type Attempt struct {
	Idempotent bool // by its method (RFC 9110, 9.2.2); an Idempotency-Key does not make it so
	Sent       bool // a byte of it was written to a connection
	Answered   bool // a byte of a response was read
	Replayable bool // it can be sent again: it has no body, or all of what was read of the body is still there
	// Reused says that the connection had carried an exchange before, and that the backend closed it: it may have done so
	// at rest, before the request arrived.
	Reused bool
	// Unwanted says that a whole response head was read whose status is one that the route retries, and that nothing
	// of it was passed on.
	Unwanted bool
}

// Retry says whether a request may be tried again.
type Retry uint8

// The answers.
const (
	Never    Retry = iota
	Budgeted       // it may cost the backends a second time: only if the Budget has one left
	Free           // it cost the backends nothing
)

// Retry says whether the request may be given to another backend. It is safe, not clever: RFC 9110, 9.2.2 forbids a proxy to
// repeat a request that is not idempotent, so one that was sent is never sent twice.
//
//	not replayable                             Never
//	not a byte sent                            Free, whatever the method
//	sent, not idempotent                       Never
//	sent, no byte of an answer                 Free if a used connection was closed, else Budgeted
//	answered by a status that is retried       Budgeted
//	answered otherwise                         Never
func (a Attempt) Retry() Retry {
	switch {
	case !a.Replayable:
		return Never
	case !a.Sent:
		return Free
	case !a.Idempotent, a.Answered && !a.Unwanted:
		return Never
	case a.Reused && !a.Answered:
		return Free
	}
	return Budgeted
}
