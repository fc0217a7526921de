package arms

import (
	"errors"
	"fmt"
	"math"

	"semper"
	"semper/edge/route"
	"semper/edge/words"
)

// A Split is a [semper.Split] made ready. It is immutable, and any number of goroutines may use it.
type Split struct {
	Arms []Arm // those that have a pool, and the testers

	salt    uint64
	by      route.Key
	user    bool
	users   *Users
	ranges  []span // of Arms
	testers []route.Conditions
	tester  int // index in Arms
}

// An Arm is one of a split's.
type Arm struct {
	Arm   semper.Arm
	Pool  semper.PoolKey // whose instances serve it
	Share float64
	Tally *Tally

	key Key
}

// span is the places from from on, size of them.
type span struct{ from, size uint64 }

// byUser is what Split.By says for the cookie.
const byUser = "user"

// newSplit is what p, the stable pool, says of its arms, as far as they have a pool in has. What it does not know it passes over,
// and tells in the error; without keys to sign by it is nil.
func newSplit(p *semper.Pool, has map[semper.PoolKey]*semper.Pool, keys [2][]byte) (*Split, error) {
	s := &Split{salt: route.Hash([]byte(p.Split.Rollout), saltOfRollouts), user: p.Split.By == byUser, tester: Stable}
	var odd []error
	var err error
	if s.users, err = NewUsers(keys); err != nil {
		return nil, err
	}
	if p.Split.By != "" && !s.user {
		odd = append(odd, s.by.UnmarshalText([]byte(p.Split.By)))
	}
	var low, high uint64
	sum := 0.0
	for _, a := range p.Split.Arms {
		if sum += max(a.Share, 0); math.IsNaN(a.Share) || a.Share < 0 {
			odd = append(odd, fmt.Errorf("%s has a share of %g: it gets nothing", a.Arm, a.Share))
		}
	}
	if sum > 1+1e-9 {
		odd = append(odd, fmt.Errorf("the shares add up to %g: who comes first has the whole of his, the last what is left", sum))
	}
	for _, a := range p.Split.Arms {
		of := has[p.Key.PoolOf(a.Arm)]
		if a.Arm == semper.ArmStable || of == nil { // what nobody has is the stable pool's
			continue
		}
		r := span{low, part(a.Share)}
		if a.Arm == semper.ArmBaseline {
			high += r.size
			r.from = -high
		} else {
			low += r.size
		}
		s.ranges = append(s.ranges, r)
		s.Arms = append(s.Arms, Arm{Arm: a.Arm, Pool: of.Key, Share: a.Share, key: Key{p.Key, p.Split.Rollout, of.Release, a.Arm}})
	}
	if of := has[p.Key.PoolOf(semper.ArmCandidate)]; of != nil && p.Split.Testers != nil {
		if s.testers, err = readTesters(p.Split.Testers); err != nil {
			odd = append(odd, err)
		}
		s.tester = len(s.Arms)
		s.Arms = append(s.Arms, Arm{Arm: semper.ArmTester, Pool: of.Key, key: Key{p.Key, p.Split.Rollout, of.Release, semper.ArmTester}})
	}
	if err := errors.Join(odd...); err != nil {
		return s, fmt.Errorf("split of pool %s: %w", p.Key, err)
	}
	return s, nil
}

// saltOfRollouts keeps the hashes of users apart from those of the same keys for other purposes.
const saltOfRollouts = 0x73706c6974

// part is a share of the range of uint64.
func part(share float64) uint64 {
	switch f := math.Ldexp(share, 64); {
	case !(f > 0): // not a number, too
		return 0
	case f >= math.MaxUint64:
		return math.MaxUint64
	default:
		return uint64(f)
	}
}

func readTesters(said []byte) (all []route.Conditions, err error) {
	conditions, err := words.ReadTesters(said)
	errs := []error{err}
	for _, c := range conditions {
		ready, err := route.Ready(c)
		if errs = append(errs, err); err == nil {
			all = append(all, ready)
		}
	}
	return all, errors.Join(errs...)
}

// tests reports whether q is a tester's.
func (s *Split) tests(q *route.Query) bool {
	for _, c := range s.testers {
		if c.Met(q) {
			return true
		}
	}
	return false
}

// at is the arm at a place.
func (s *Split) at(place uint64) int {
	for i, r := range s.ranges {
		if place-r.from < r.size {
			return i
		}
	}
	return Stable
}
