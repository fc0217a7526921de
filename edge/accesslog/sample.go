package accesslog

import (
	"fmt"
	"math"
	"time"

	"semper"
)

// A Rule says which share of some requests is logged. Of several rules the first that fits a request decides, and requests
// that none fits are logged. The zero Rule fits all requests and keeps none.
type Rule struct {
	From, To int           // statuses, both inclusive; all if both are zero
	Slower   time.Duration // requests that took as long or longer; all if zero
	Sampled  bool          // requests whose trace is sampled only
	Share    float64       // of the requests that fit, from 0 to 1
}

type rule struct {
	from, to int
	slower   time.Duration
	sampled  bool
	share    float32
	below    uint64 // chances that are
}

type rules []rule

func compile(all []Rule) (rules, error) {
	var out rules
	for i, r := range all {
		if r.From < 0 || r.To < r.From || !(r.Share >= 0 && r.Share <= 1) {
			return nil, &semper.Error{Code: semper.Invalid, Op: "open access log",
				Message: fmt.Sprintf("rule %d keeps a share of %g of the statuses from %d to %d: want 0 to 1, and a range", i+1, r.Share, r.From, r.To)}
		}
		c := rule{from: r.From, to: r.To, slower: r.Slower, sampled: r.Sampled, share: float32(r.Share), below: math.MaxUint64}
		if r.From == 0 && r.To == 0 {
			c.to = math.MaxInt
		}
		if r.Share < 1 {
			c.below = uint64(r.Share * (1 << 63) * 2)
		}
		out = append(out, c)
	}
	return out, nil
}

// keep decides about e by a random number. share is what part of its like is logged.
func (all rules) keep(e *Entry, chance uint64) (share float32, ok bool) {
	for i := range all {
		r := &all[i]
		if e.Status >= r.from && e.Status <= r.to && e.Took >= r.slower && (!r.sampled || e.TraceSampled) {
			return r.share, chance < r.below || r.share == 1
		}
	}
	return 1, true
}
