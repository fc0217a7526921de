package arms

import (
	"errors"
	"time"

	"semper"
)

// A Pool is one of a table's, with what it is in a split.
type Pool struct {
	semper.Pool
	Stable semper.PoolKey // that it is an arm of; its own key where it is none
	Share  float64        // of the requests of Stable
	Tally  *Tally         // nil: nobody is assigned to it
	Split  *Split         // nil: it has none
}

// Plan is what the pools of a table are, from now on. keys sign the cookies of users: the current one, and the one before, which
// may be nil. An arm is held while its stable pool is. What is not known is passed over, and told in the error.
func (t *Tallies) Plan(pools []semper.Pool, keys [2][]byte, now time.Time) (plan []Pool, odd error) {
	has, at := make(map[semper.PoolKey]*semper.Pool, len(pools)), make(map[semper.PoolKey]int, len(pools))
	for i := range pools {
		has[pools[i].Key], at[pools[i].Key] = &pools[i], i
	}
	plan = make([]Pool, len(pools))
	var wanted []Key
	for i := range pools {
		p := &plan[i]
		p.Pool, p.Stable = pools[i], pools[i].Stable()
		if stable := has[p.Stable]; p.Stable != p.Key && stable != nil {
			p.Hold, p.Limits = stable.Hold, stable.Limits
			continue
		}
		if p.Pool.Split != nil {
			var err error
			if p.Split, err = newSplit(&p.Pool, has, keys); err != nil {
				odd = errors.Join(odd, err)
			}
		}
		wanted = append(wanted, p.own())
		if p.Split != nil {
			p.Arm = semper.ArmStable
			for _, a := range p.Split.Arms {
				wanted = append(wanted, a.key)
			}
		}
	}
	tallies := t.turn(wanted, now)
	for i := range plan {
		plan[i].count(tallies, plan, at)
	}
	return plan, odd
}

// own is the key of a pool's own tally.
func (p *Pool) own() Key {
	k := Key{Pool: p.Key, Release: p.Release, Arm: semper.ArmStable}
	if p.Split != nil {
		k.Rollout = p.Pool.Split.Rollout
	}
	return k
}

// count gives p, and its arms, which are in plan by at, their tallies and shares.
func (p *Pool) count(tallies map[Key]*Tally, plan []Pool, at map[semper.PoolKey]int) {
	if p.Stable != p.Key {
		return
	}
	p.Tally, p.Share = tallies[p.own()], 1
	if p.Split == nil {
		return
	}
	for i := range p.Split.Arms {
		a := &p.Split.Arms[i]
		a.Tally = tallies[a.key]
		if a.Arm != semper.ArmTester {
			of := &plan[at[a.Pool]]
			of.Tally, of.Share = a.Tally, a.Share
			p.Share = max(p.Share-a.Share, 0)
		}
	}
}
