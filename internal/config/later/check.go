package later

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"semper"
	"semper/queue"
	"semper/queue/callback"
)

// A Problem is what is wrong with jobs, at a key of theirs, or at none.
type Problem struct{ Key, Message, Hint string }

// keyHint is how to say what a key is.
const keyHint = `add "key: X-Customer", a header field, or "key: /customer/id", a place in JSON`

// Problem is the first thing that is wrong with j beyond what its tags say; ok is whether there is none.
func (j Jobs) Problem() (p Problem, ok bool) {
	const noKey = "it is not said what the key of a request is"
	switch {
	case j.Order == string(queue.OrderKey) && j.Key == "":
		return Problem{"", noKey, keyHint}, false
	case j.PerKey > 0 && j.Key == "":
		return Problem{"per_key", noKey, keyHint}, false
	case j.Alive && j.Longest == 0:
		return Problem{"alive", "it is not said how long an attempt may take at most", `add "longest: 1h"`}, false
	case j.Burst > 0 && j.Rate == 0:
		return Problem{"burst", "there is no rate that it could exceed for once", `add "rate: 50", or remove it`}, false
	}
	if p, ok := j.Callbacks.problem(j.Settings().Callbacks); !ok {
		p.Key = "callbacks." + p.Key
		return p, false
	}
	if e, ok := errors.AsType[*semper.Error](j.Settings().Check()); ok {
		return Problem{"", e.Message, e.Hint}, false
	}
	return Problem{}, true
}

// problem is what is wrong with who may be told.
func (c Callbacks) problem(made *queue.Callbacks) (p Problem, ok bool) {
	for i, n := range c.Networks {
		if _, err := netip.ParsePrefix(n); err != nil {
			return Problem{fmt.Sprintf("networks[%d]", i), fmt.Sprintf("%q is no network", n), "write 10.1.0.0/16, or 10.1.2.3/32 for one address"}, false
		}
	}
	for i, h := range c.Hosts {
		if name := strings.TrimPrefix(h, "*."); name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return Problem{fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("%q is no host", h), "a name without scheme, port and path: hooks.example.com, or *.example.com for all below"}, false
		}
	}
	if c.To == "" || made == nil {
		return Problem{}, true
	}
	if err := callback.RulesOf(made).URL(c.To); err != nil {
		return Problem{"to", err.Error(), semper.HintOf(err)}, false
	}
	return Problem{}, true
}
