package supervise

import "context"

// A Supervisor runs children and restarts them. It is itself a Child.
type Supervisor struct{ done chan struct{} }

// Start starts a supervisor and its children.
func Start(ctx context.Context, f Flags, children []ChildSpec, o Options) (*Supervisor, error) {
	return nil, ErrInvalid
}
func (s *Supervisor) StartChild(ctx context.Context, spec ChildSpec) error   { return ErrStopping }
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error    { return ErrStopping }
func (s *Supervisor) RestartChild(ctx context.Context, id string) error      { return ErrStopping }
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error       { return ErrStopping }
func (s *Supervisor) Children() []ChildInfo                                  { return nil }
func (s *Supervisor) Count() Counts                                          { return Counts{} }
func (s *Supervisor) Window() int                                            { return 0 }
func (s *Supervisor) Stop(ctx context.Context) error                         { return nil }
func (s *Supervisor) Blocking() []string                                     { return nil }
func (s *Supervisor) Done() <-chan struct{}                                  { return s.done }
func (s *Supervisor) Reason() Reason                                         { return Reason{} }
func (s *Supervisor) Shutdown()                                              {}
func (s *Supervisor) Kill()                                                  {}
func (s *Supervisor) Nudge(id string)                                        {}
func (s *Supervisor) Release()                                               {}
