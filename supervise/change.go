package supervise

import "container/heap"

// change takes on new flags and specs, as code_change does. Going from one_for_one to an ordered strategy, which does
// one thing at a time, first waits until nothing starts or stops.
func (c *core) change(in *call) {
	if c.ordered() != (in.to.flags.Strategy != OneForOne) && c.kids.moving() > 0 {
		c.changing = in
		return
	}
	c.flags, c.most = in.to.flags, in.to.most
	if !c.dynamic {
		c.respec(in.to.specs)
	}
	c.answer(in, nil)
}

// respec puts the kids into the order of the specs, then those whose ids are not among them, as they were. A new id is
// listed and not started.
func (c *core) respec(specs []ChildSpec) {
	old := c.kids
	c.kids = family{}
	for _, s := range specs {
		k := c.byID[s.ID]
		if k == nil {
			k = &kid{since: c.at}
			c.byID[s.ID] = k
		} else {
			old.drop(k)
		}
		k.adopt(s)
		c.kids.push(k)
		switch {
		case k.restart != Temporary:
		case k.phase == waiting:
			c.enter(k, idle) // a Temporary is not restarted, whatever it was before
			c.forget(k)
		case k.phase == running:
			k.start = nil
		}
	}
	for k := range old.forward() {
		old.drop(k)
		c.kids.push(k)
	}
	c.seq = 0
	for k := range c.kids.forward() {
		k.seq = c.seq
		c.seq++
	}
	heap.Init(&c.timers)
}
