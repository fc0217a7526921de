package arms

import (
	"path"
	"time"

	"semper"
	"semper/edge/route/sticky"
)

// Pins tell where the release that a client knows, by the cookie of a rule that leads to a table's pool, leads it. Made, they are
// immutable, and any number of goroutines may use them.
type Pins struct {
	current, previous, split sticky.Tag
	splits, goBack           bool
	until                    time.Time
}

// PinScope is the scope of the cookies by which clients know a release: that of an app, whose services it is of together, for a page
// of one calls another.
func PinScope(cookie string, stable semper.PoolKey) string {
	return cookie + " of " + path.Dir(string(stable))
}

// NewPins are for a rule that leads to current, and whose cookies s signs.
func NewPins(s *sticky.Signer, current *semper.Pool) *Pins {
	p := &Pins{current: s.Tag(string(current.Release))}
	if current.Split != nil {
		p.split, p.splits = s.Tag("drawn by "+current.Split.Rollout), true
	}
	return p
}

// GoBack leads those who know the release of previous back to it, until window after it was replaced.
func (p *Pins) GoBack(s *sticky.Signer, previous *semper.Pool, window time.Duration) {
	p.previous, p.goBack, p.until = s.Tag(string(previous.Release)), true, previous.ReplacedAt.Add(window)
}

// A Way is where a client is led.
type Way uint8

// The ways.
const (
	Anew  Way = iota // to the pool, or an arm of it: it is new, or what it knows is gone
	Back             // to the previous release
	Here             // to the pool
	Stays            // to the pool whatever a split says, and not counted there: it knew the release before the split began
	Drawn            // to the arm where it is, or is now: it came while the split was on
)

// Way is where a client with claim c is led at now. Who stays would make one arm of a comparison older than the other, and so has no
// part in it; who came new has, whichever release he knows since.
func (p *Pins) Way(c sticky.Claim, now time.Time) Way {
	switch {
	case p.goBack && c.IsRelease(p.previous) && now.Before(p.until):
		return Back
	case p.splits && c.IsInstance(p.split):
		return Drawn
	case !c.IsRelease(p.current):
		return Anew
	case p.splits:
		return Stays
	}
	return Here
}

// Mark is what a cookie has in the place of an instance: by which split the client was drawn, if it was.
func (p *Pins) Mark(pinned bool) sticky.Tag {
	if pinned {
		return sticky.Tag{}
	}
	return p.split
}
