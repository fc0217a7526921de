package words

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"semper/edge/route"
	"semper/internal/strict"
)

// Shares are a split as it is written, in its order.
type Shares []route.Share

// Put adds a pool with its share.
func (s *Shares) Put(name, value string) error {
	weight, err := strconv.Atoi(value)
	if err != nil || weight < 0 || weight > 1_000_000 {
		return fmt.Errorf("the share of %s is %q: write a whole number from 0 to 1000000", name, value)
	}
	*s = append(*s, route.Share{Pool: name, Weight: weight})
	return nil
}

// All yields each pool with its share.
func (s *Shares) All(yield func(name, value string) bool) {
	for _, one := range *s {
		if !yield(one.Pool, strconv.Itoa(one.Weight)) {
			return
		}
	}
}

// Most is the pool with the largest share, and of several the first; "" where there is none.
func (s Shares) Most() string {
	most := route.Share{Weight: -1}
	for _, one := range s {
		if one.Weight > most.Weight {
			most = one
		}
	}
	return most.Pool
}

// spread has the requests of r spread as p says, over pools beside the one that r leads to: of the same app and environment.
func spread(p *Spread, r *route.Rule) {
	f, ok := r.Action.(*route.Forward)
	if !ok || len(p.Split) == 0 || len(f.Pools) != 1 {
		return
	}
	beside := f.Pools[0].Pool
	beside = beside[:strings.LastIndexByte(beside, '/')+1]
	out := &route.Forward{By: p.SplitBy}
	for _, s := range p.Split {
		out.Pools = append(out.Pools, route.Share{Pool: beside + s.Pool, Weight: s.Weight})
	}
	r.Action = out
}

// Fits notes what is said in p, which stands at path, or in defaults, and has no effect beside what else is said there.
func (s Source) Fits(path, defaults string, p *Policy) {
	queue := path + ".queue"
	switch {
	case !s.Given(queue) || s.Wrong(queue) || s.Wrong(path):
	case p.Queue.Length == 0 && !s.Given(queue+".length"):
		s.Misplaced(queue, "the queue has no length, so that nobody waits in it", "add length, like {length: 500, deadline: 2s}")
	case p.Queue.Length > 0 && p.MaxInFlight == 0 && !p.Adaptive:
		s.Misplaced(queue, "nobody ever waits in it: without a bound there is always room", "add max_in_flight or adaptive, or remove it")
	}
	key := path + ".balance.key"
	if !s.Given(key) && !s.Given(path+".balance.algorithm") {
		key = defaults + ".balance.key" // together with the algorithm there
	}
	if s.Given(key) && !p.Balance.Algorithm.Hashes() && !s.Wrong(key) && !s.Wrong(path+".balance") {
		s.Misplaced(key, fmt.Sprintf("%s looks at no key", cmp.Or(p.Balance.Algorithm, route.Least)), `write "algorithm: rendezvous" or maglev, or remove it`)
	}
}

// Spreads notes what is wrong with p, which stands at path; known notes a name that leads nowhere.
func (s Source) Spreads(path string, p *Spread, known func(at, name string)) {
	if s.Given(path+".split_by") && !s.Given(path+".split") {
		s.Misplaced(path+".split_by", "there is nothing to split", "add split, or remove it")
	}
	for _, one := range p.Split {
		known(strict.Join(path+".split", one.Pool), one.Pool)
	}
}
