package otpcase

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Shrink makes a case smaller as long as it stays interesting, one cut at a time. The function is given all the cuts of one
// round, so that it can play them side by side, and returns which of them are.
func Shrink(c Case, interesting func([]Case) []bool) Case {
	name := c.Name
	for {
		cuts := c.cuts()
		i := slices.Index(interesting(cuts), true)
		if i < 0 {
			c.Name = name
			return c
		}
		c = cuts[i]
	}
}

// cuts are the valid cases that have one thing less than c: the bigger things first.
func (c *Case) cuts() []Case {
	var all []Case
	try := func(change func(*Case)) {
		cut := c.clone()
		change(&cut)
		cut.Name = fmt.Sprintf("cut%d", len(all))
		if cut.validate() == nil {
			all = append(all, cut)
		}
	}
	if n := len(c.Steps); n > 1 {
		try(func(c *Case) { c.Steps = c.Steps[:n/2] })
		try(func(c *Case) { c.Steps = c.Steps[n/2:] })
	}
	for i := range c.Tree.trees() {
		for k := range c.Tree.trees()[i].Children {
			try(func(c *Case) { t := c.Tree.trees()[i]; t.Children = slices.Delete(t.Children, k, k+1) })
		}
	}
	for i, s := range c.Steps {
		try(func(c *Case) { c.Steps = slices.Delete(c.Steps, i, i+1) })
		for k := range s.Starts {
			try(func(c *Case) { c.Steps[i].Starts = slices.Delete(c.Steps[i].Starts, k, k+1) })
		}
		if s.Spec != nil {
			for _, plain := range s.Spec.plainer() {
				try(func(c *Case) { c.Steps[i].Spec = &plain })
			}
		}
	}
	for i, t := range c.Tree.trees() {
		for k := range t.Children {
			for _, plain := range t.Children[k].plainer() {
				try(func(c *Case) { c.Tree.trees()[i].Children[k] = plain })
			}
		}
	}
	return all
}

// trees are t and all trees below it.
func (t *Tree) trees() []*Tree {
	all := []*Tree{t}
	for i := range t.Children {
		if below := t.Children[i].Tree; below != nil {
			all = append(all, below.trees()...)
		}
	}
	return all
}

// plainer are the children that differ from c in having the default somewhere.
func (c Child) plainer() []Child {
	var all []Child
	if c.Starts != nil {
		p := c
		p.Starts = nil
		all = append(all, p)
	}
	if c.OnStop != "" {
		p := c
		p.OnStop = ""
		all = append(all, p)
	}
	if c.Shutdown != 0 {
		p := c
		p.Shutdown = 0
		all = append(all, p)
	}
	if c.Restart != "" {
		p := c
		p.Restart, p.Significant = "", false
		all = append(all, p)
	}
	if c.Tree != nil {
		p := c
		p.Tree = nil
		all = append(all, p)
	}
	return all
}

func (c *Case) clone() Case {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // no case that was validated
	}
	var copied Case
	if err := json.Unmarshal(text, &copied); err != nil {
		panic(err)
	}
	return copied
}
