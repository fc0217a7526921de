package etcd

import (
	"time"

	"semper/queue/backlog"
)

// PackFrom makes n jobs of one commit worth a block, before queues are opened.
func (e *Engine) PackFrom(n int) { e.packLeast = n }

// Sleep is how long a dispatcher sleeps over b.
func Sleep(b *backlog.Backlog) time.Duration { return new(Queue).idle(&term{back: b}) }
