package etcd

// PackFrom makes n jobs of one commit worth a block, before queues are opened.
func (e *Engine) PackFrom(n int) { e.packLeast = n }
