package diff

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"semper/verify"
)

// A Board counts differences by place, and tells those that a release makes from those that happen anyway. For each request the
// candidate's response is compared with that of the baseline, and where one was asked for the response of a second copy of the baseline
// too. At one place both comparisons are as likely to differ when the candidate is no different: of the requests for
// which exactly one of them differs, each is a fair coin. [verify.Counts] weighs them.
//
// The places share the budget by the order in which they first came: the i-th has 1/(i·(i+1)) of it. So nothing has to be known of them
// beforehand. Board's fields are its whole state. It is not safe for concurrent use.
type Board struct {
	Pairs  int64    `json:"pairs"`           // compared with the baseline
	Copies int64    `json:"copies"`          // of these, those with a second copy
	Places []*Place `json:"places"`          // by the order in which they came
	Lost   int64    `json:"lost,omitempty"`  // differences at places for which there was no room
	Cut    int64    `json:"cut,omitempty"`   // pairs with more differences than are told of one
	Most   float64  `json:"most,omitempty"`  // the largest log e-value so far
	Alpha  float64  `json:"alpha,omitempty"` // 0 is [verify.DefaultAlpha]
	Room   int      `json:"room,omitempty"`  // the most places; 0 is 1000
}

// A Place is where differences were found.
type Place struct {
	Endpoint string        `json:"endpoint"`
	Path     Path          `json:"path"`
	Kind     Kind          `json:"kind"`
	Seen     int64         `json:"seen"`  // pairs with it
	Noise    int64         `json:"noise"` // copies with it
	Evidence verify.Counts `json:"evidence"`
	Examples []Difference  `json:"examples,omitempty"` // the first ones that are not alike
}

// Bounds of a board.
const (
	maxPlaces   = 1000
	maxExamples = 3
)

// Add counts one request: what was found between baseline and candidate, and, unless it is nil, between baseline and copy.
func (b *Board) Add(endpoint string, candidate Comparison, second *Comparison) {
	b.Pairs++
	if candidate.Cut || second != nil && second.Cut {
		b.Cut++
	}
	seen := b.mark(endpoint, candidate.Differences, true)
	var noise map[*Place]bool
	if second != nil {
		b.Copies++
		noise = b.mark(endpoint, second.Differences, false)
	}
	for p := range seen {
		p.Seen++
		if second != nil && !noise[p] {
			p.count(1, 0)
		}
	}
	for p := range noise {
		p.Noise++
		if !seen[p] {
			p.count(0, 1)
		}
	}
	b.Most = max(b.Most, b.LogE())
}

// A Tally is what was counted at one place, as it is told to another board.
type Tally struct {
	Endpoint string `json:"endpoint"`
	Path     Path   `json:"path"`
	Kind     Kind   `json:"kind"`
	Seen     int64  `json:"seen"` // as in [Place]
	Noise    int64  `json:"noise,omitempty"`
	// Candidate and Baseline are requests with a second copy of which only the candidate's response, or only the copy's, has it.
	Candidate int64        `json:"candidate,omitempty"`
	Baseline  int64        `json:"baseline,omitempty"`
	Examples  []Difference `json:"examples,omitempty"`
}

// Tally is what was counted at p.
func (p *Place) Tally() Tally {
	t := &p.Evidence.Total
	return Tally{
		Endpoint: p.Endpoint, Path: p.Path, Kind: p.Kind, Seen: p.Seen, Noise: p.Noise, Candidate: t.Candidate.Bad, Baseline: t.Baseline.Bad,
		Examples: slices.Clone(p.Examples),
	}
}

// Take counts what another board has: pairs, of them copies, and what was found. The places stand in the order in which they come here.
// An example may come again: it is kept once.
func (b *Board) Take(pairs, copies int64, found []Tally) {
	b.Pairs += pairs
	b.Copies += copies
	for _, t := range found {
		p := b.place(t.Endpoint, Difference{Path: t.Path, Kind: t.Kind})
		if p == nil {
			b.Lost += t.Seen + t.Noise
			continue
		}
		p.Seen += t.Seen
		p.Noise += t.Noise
		p.count(t.Candidate, t.Baseline)
		for _, d := range t.Examples {
			p.example(d)
		}
	}
	b.Most = max(b.Most, b.LogE())
}

func (p *Place) count(candidate, baseline int64) {
	n := max(candidate, baseline, 1)
	p.Evidence.Add(verify.Batch{ //nolint:errcheck // such a batch can be
		Candidate: verify.Arm{Requests: n, Bad: candidate}, Baseline: verify.Arm{Requests: n, Bad: baseline},
	})
}

// example keeps d where there is room, and no other like it.
func (p *Place) example(d Difference) {
	if len(p.Examples) < maxExamples && !slices.ContainsFunc(p.Examples, func(e Difference) bool { return e.Was == d.Was && e.Is == d.Is }) {
		p.Examples = append(p.Examples, d)
	}
}

// mark finds the places of all, each once, and makes those that are new.
func (b *Board) mark(endpoint string, all []Difference, examples bool) map[*Place]bool {
	places := make(map[*Place]bool, len(all))
	for _, d := range all {
		p := b.place(endpoint, d)
		if p == nil {
			b.Lost++
			continue
		}
		if examples && !places[p] {
			p.example(d)
		}
		places[p] = true
	}
	return places
}

func (b *Board) place(endpoint string, d Difference) *Place {
	for _, p := range b.Places {
		if p.Kind == d.Kind && p.Endpoint == endpoint && slices.Equal(p.Path, d.Path) {
			return p
		}
	}
	if len(b.Places) >= cmp.Or(b.Room, maxPlaces) {
		return nil
	}
	p := &Place{Endpoint: endpoint, Path: d.Path, Kind: d.Kind}
	b.Places = append(b.Places, p)
	return p
}

// LogE is the logarithm of the e-value for "the candidate differs nowhere more than the baseline does from itself".
func (b *Board) LogE() float64 {
	sum := 1.0 // what is kept for places that have not come yet
	for i, p := range b.Places {
		sum += share(i) * math.Expm1(min(p.Evidence.LogE(), 700))
	}
	return math.Log(sum)
}

func share(i int) float64 { return 1 / float64((i+1)*(i+2)) }

func (b *Board) alpha() float64 {
	if b.Alpha == 0 {
		return verify.DefaultAlpha
	}
	return b.Alpha
}

// A Status is what is known of a place.
type Status string

// The statuses.
const (
	Different Status = "different" // proven: the candidate differs here more than the baseline from itself
	Novel     Status = "new"       // it differs, and in all copies the baseline never has
	Noisy     Status = "noise"     // no more than the baseline from itself
	Unknown   Status = "unknown"   // there are no copies to compare with, or too few
)

// enoughCopies is after how many copies without a difference one at the candidate is told as new.
const enoughCopies = 30

// Status is that of the i-th place.
func (b *Board) Status(i int) Status {
	p := b.Places[i]
	switch {
	case p.Evidence.LogE()+math.Log(share(i)) >= -math.Log(b.alpha()):
		return Different
	case b.Copies < enoughCopies:
		return Unknown
	case p.Noise == 0 && p.Seen > 0:
		return Novel
	}
	return Noisy
}

// Verdict is worse when the whole board proves a difference, and better-or-equal when need pairs were compared and nothing is
// different or new.
func (b *Board) Verdict(at time.Time, need int64) verify.Verdict {
	v := verify.Verdict{At: at, E: math.Exp(min(b.LogE(), 700)), Threshold: 1 / b.alpha()}
	different, fresh := b.with(Different), b.with(Novel)
	switch {
	case b.Most >= math.Log(v.Threshold):
		v.Outcome = verify.Worse
		v.Why = "the candidate's responses differ"
		if len(different) > 0 {
			v.Why += ", most of all " + different[0].words()
		}
	case b.Pairs == 0:
		v.Outcome, v.Cause, v.Why = verify.Undecided, verify.NoData, "no response was compared yet"
	case b.Copies == 0:
		v.Outcome, v.Cause, v.Why = verify.Undecided, verify.NoData, "no second copy of the baseline was asked: nothing says what happens anyway"
	case b.Pairs < need:
		v.Outcome, v.Cause = verify.Undecided, verify.TooEarly
		v.Why = fmt.Sprintf("nothing is proven after %d pairs, and %d are asked for", b.Pairs, need)
	case len(fresh) > 0:
		v.Outcome, v.Cause = verify.Undecided, verify.TooEarly
		v.Why = "differences that the baseline has never shown, too few to be sure: " + fresh[0].words()
	default:
		v.Outcome = verify.BetterOrEqual
		v.Why = fmt.Sprintf("in %d pairs nothing differs more than the baseline from itself", b.Pairs)
	}
	return v
}

// with are the places of a status, that with the most evidence first.
func (b *Board) with(s Status) []*Place {
	var all []*Place
	for i, p := range b.Places {
		if b.Status(i) == s {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(x, y *Place) int { return cmp.Compare(y.Evidence.LogE(), x.Evidence.LogE()) })
	return all
}

// Words tell the places of a status, that with the most evidence first.
func (b *Board) Words(s Status) (all []string) {
	for _, p := range b.with(s) {
		all = append(all, p.words())
	}
	return all
}

func (p *Place) words() string {
	s := fmt.Sprintf("%s at %s (%d times, and %d times in copies of the baseline)", p.Endpoint, p.Path, p.Seen, p.Noise)
	if len(p.Examples) > 0 {
		s += ", like " + p.Examples[0].String()
	}
	return s
}
