package etcd

import (
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// PackFrom makes n jobs of one commit worth a block, before queues are opened.
func (e *Engine) PackFrom(n int) { e.packLeast = n }

// Names makes names by next, before queues are opened.
func (e *Engine) Names(next func(time.Time) queue.ID) { e.newID = next }

// Sleep is how long a dispatcher sleeps over b.
func Sleep(b *backlog.Backlog) time.Duration { return new(Queue).idle(&term{back: b}) }
