package apitest

import (
	"context"
	"log/slog"

	"semper"
	"semper/control/queues"
	"semper/queue/mem"
)

// QueueEngine is the engine of its queues, to open them and to work at.
func (s *Semper) QueueEngine() *mem.Engine { return s.jobs }

// desk is what a server has of queues, over an engine in memory.
func (s *Semper) desk() queues.Desk {
	return queues.Desk{Engine: s.jobs, Log: slog.New(slog.DiscardHandler), Tell: func(_ context.Context, e semper.Event) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.eventLocked(e)
		return nil
	}}
}
