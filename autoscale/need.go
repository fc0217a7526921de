package autoscale

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// need is how many instances the signals ask for, and why. Where one that the policy goes by is missing they can only ask for more
// than there are.
func (s State) need(p Policy, sig *Signals, now time.Time) (int, string) {
	if sig.Held && sig.Placed > 0 { // those who wait do so for something else
		return sig.Placed, "its requests are held: nothing changes"
	}
	best, why := -1, ""
	ask := func(n int, w string) {
		if n > best {
			best, why = n, w
		}
	}
	if sig.Requests != nil {
		ask(s.byRequests(p, sig))
	}
	if sig.Queue != nil && p.queue() && !sig.Queue.Paused {
		ask(s.byDepth(p, sig))
		ask(s.byAge(p, sig, now))
		if sig.Queue.Running > 0 || sig.Busy > 0 {
			ask(sig.Busy, fmt.Sprintf("%s at work", count(sig.Busy, "instance")))
		}
	}
	if sig.missing(p) && best <= sig.Placed {
		return sig.Placed, "no data: nothing is taken away on a signal that is missing"
	}
	if best <= 0 && sig.Placed > 0 {
		return min(sig.Placed, max(p.Min, 1)), "nothing to do"
	}
	return max(best, 0), why
}

// byRequests is how many instances have InFlight requests each. Of a service without that target one is enough, as long as there are
// requests.
func (s State) byRequests(p Policy, sig *Signals) (int, string) {
	n := sig.Requests.InFlight + sig.Requests.Waiting
	load := s.load
	if sig.Placed == 0 {
		load = float64(n) // who has waited for the first instance does not wait for an average
	}
	if p.InFlight == 0 {
		return min(n, 1), "there are requests"
	}
	if sig.Placed == 0 && n == 0 {
		return 0, "nothing to do"
	}
	return reach(load, p.InFlight, sig.Placed), fmt.Sprintf("%s of %d each", amount(load, "request"), p.InFlight)
}

func (s State) byDepth(p Policy, sig *Signals) (int, string) {
	if p.QueueDepth == 0 {
		return min(sig.Queue.Depth, 1), "there are jobs"
	}
	return reach(float64(sig.Queue.Depth), p.QueueDepth, sig.Placed), fmt.Sprintf("%s of %d each", count(sig.Queue.Depth, "waiting job"), p.QueueDepth)
}

// byAge asks for more while the oldest job waits longer than it should: as many times more as it is too old, at the most twice as
// many, and again only when those that were added have had as long as that to do something about it. Down to half of what is meant the
// number stays.
func (s State) byAge(p Policy, sig *Signals, now time.Time) (int, string) {
	if p.QueueAge == 0 || sig.Queue.Depth == 0 {
		return 0, "nothing to do"
	}
	age, meant := sig.Queue.Age, p.QueueAge.D()
	why := fmt.Sprintf("the oldest job has waited for %s, and %s is meant", span(age), span(meant))
	switch {
	case sig.Placed == 0:
		return 1, why
	case age <= meant/2:
		return 1, why
	case age <= meant+time.Duration(Tolerance*float64(meant)), sig.Ready < sig.Placed, now.Sub(s.grown) < meant:
		return sig.Placed, why
	}
	more := min(float64(age)/float64(meant), 2)
	return max(sig.Placed+1, int(math.Ceil(float64(sig.Placed)*more))), why
}

// reach is how many instances have each of load; as many as there are where that is about so.
func reach(load float64, each, placed int) int {
	if placed > 0 && math.Abs(load/float64(placed*each)-1) <= Tolerance {
		return placed
	}
	return int(math.Ceil(load/float64(each) - 1e-9))
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// amount is an average, in words.
func amount(n float64, what string) string {
	if n < 10 && n != math.Trunc(n) {
		return fmt.Sprintf("%.1f %ss", n, what)
	}
	return count(int(math.Round(n)), what)
}

// span is a time as precise as people need it: "5m", "1m30s", "400ms".
func span(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
