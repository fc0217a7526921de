package config

import (
	"fmt"

	"semper/experiment"
)

// experiments looks at what is compared, and completes it.
func (c *checker) experiments() {
	first := make(map[string]int)
	for i, p := range c.f.Experiments {
		path := fmt.Sprintf("experiments[%d]", i)
		whole, faults := experiment.Complete(p)
		for _, f := range faults {
			if at := join(path, f.Key); !c.hasProblem(at) {
				c.problem(at, f.Message, f.Hint)
			}
		}
		if s := p.Service; s != "" && !c.hasProblem(path+".service") {
			switch svc, known := c.f.Services[s]; {
			case !known:
				c.problem(path+".service", fmt.Sprintf("there is no service %q", s), didYouMean(s, c.services()))
			case !svc.isWeb():
				c.problem(path+".service", s+" is a "+svc.kind()+": users never come to it", "name a web service, or leave it out for all of them")
			}
		}
		if n, twice := first[p.Name]; twice && p.Name != "" {
			c.problem(path+".name", p.Name+" is there twice", fmt.Sprintf("the first is in line %d", c.key(fmt.Sprintf("experiments[%d].name", n)).Line))
		} else {
			first[p.Name] = i
		}
		c.f.Experiments[i] = whole
	}
}
