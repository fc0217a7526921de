package experiment

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"semper/experiment/design"
)

// Bounds of a [State].
const (
	Shards    = 64      // parts that are written down by themselves
	KeptIDs   = 1 << 12 // of values, in each part
	keptWords = 15      // values of a segment, in each part; the others are one
	early     = 10 * time.Second
	// MaxValue is the largest value.
	MaxValue = 1e12
)

// An Entry is what came at one time. Entries are numbered from 1.
type Entry struct {
	Seq       uint64    `json:"seq"`
	Exposures []Exposed `json:"exposures,omitempty"`
	Values    []Value   `json:"values,omitempty"`
	Dropped   uint64    `json:"dropped,omitempty"` // exposures that edges lost before
}

// Exposed is that a user was exposed to a variant.
type Exposed struct {
	User    uint64 `json:"u"`
	Variant int    `json:"v"`
	At      int64  `json:"t"` // Unix time, in milliseconds
}

// A Value is one of a metric, of a user.
type Value struct {
	ID       uint64            `json:"id"` // the same value has the same
	User     uint64            `json:"u"`
	Metric   int               `json:"m"` // its index in the plan
	Value    float64           `json:"x"`
	At       int64             `json:"t"` // Unix time, in milliseconds
	Segments map[string]string `json:"s,omitempty"`
}

// A State is all that is known of one run. It is not safe for concurrent use.
type State struct {
	plan   design.Plan
	shards [Shards]shard
	limit  int // users of a shard
}

// shard is what is known of the users whose number has one remainder.
type shard struct {
	applied uint64 // Seq of the last entry
	users   map[uint64]*user
	waiting int      // of users: whose exposure is not known yet
	leftOut []int64  // exposures, by variant, of users that there was no room for: none or at least one
	unknown int64    // values of users that there was no room for
	ids     []uint64 // of values, the newest; a ring
	next    int      // in ids
	known   map[uint64]struct{}
	words   [][]string // of each segment
	dirty   bool
}

// user is what is known of one. Times are Unix milliseconds.
type user struct {
	variant int8 // -1 while no exposure is known
	at      int64
	first   int64 // of the values, while no exposure is known
	words   []uint8
	sums    []float64
}

// New is the state of a run that has seen nothing. The plan is complete.
func New(plan design.Plan) *State {
	s := &State{plan: plan, limit: max((plan.Users+Shards-1)/Shards, 1)}
	for i := range s.shards {
		s.shards[i].empty(&plan)
	}
	return s
}

func (h *shard) empty(plan *design.Plan) {
	*h = shard{users: make(map[uint64]*user), known: make(map[uint64]struct{}), leftOut: make([]int64, len(plan.Variants)), words: make([][]string, len(plan.Segments))}
}

// CheckValue says what no value can be.
func CheckValue(x float64) error {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return errors.New("it is not a number")
	case x < 0:
		return errors.New("it is negative: push what is lost as a metric of its own, with less_is_better")
	case x > MaxValue:
		return fmt.Errorf("it is larger than %g", float64(MaxValue))
	}
	return nil
}

// Has reports whether the value with an id, of a user, was applied.
func (s *State) Has(number, id uint64) bool {
	_, ok := s.shards[number%Shards].known[id]
	return ok
}

// News are those of all that change something.
func (s *State) News(all []Exposed) (news []Exposed) {
	for _, e := range all {
		h := &s.shards[e.User%Shards]
		u := h.users[e.User]
		known, full := u != nil && u.variant >= 0, len(h.users)-h.waiting >= s.limit
		if e.Variant < 0 || e.Variant >= len(s.plan.Variants) || known || full && h.leftOut[e.Variant] > 0 {
			continue
		}
		news = append(news, e)
	}
	return news
}

// Apply takes an entry, or what of it a part has not had yet.
func (s *State) Apply(e *Entry) {
	for i := range e.Exposures {
		if h := &s.shards[e.Exposures[i].User%Shards]; h.applied < e.Seq {
			s.expose(h, &e.Exposures[i])
		}
	}
	for i := range e.Values {
		if h := &s.shards[e.Values[i].User%Shards]; h.applied < e.Seq {
			s.value(h, &e.Values[i])
		}
	}
	for i := range s.shards {
		s.shards[i].applied = max(s.shards[i].applied, e.Seq)
	}
}

// Applied is the highest Seq that some part has had.
func (s *State) Applied() (seq uint64) {
	for i := range s.shards {
		seq = max(seq, s.shards[i].applied)
	}
	return seq
}

// find is the user with a number, who is made up where there is room for one. Those who wait for their exposure have half of the room.
func (s *State) find(h *shard, number uint64, waits bool) *user {
	if u := h.users[number]; u != nil {
		return u
	}
	exposed := len(h.users) - h.waiting
	if waits && h.waiting >= (s.limit+1)/2 || !waits && exposed >= s.limit {
		return nil
	}
	u := &user{variant: -1, sums: make([]float64, len(s.plan.Metrics)), words: make([]uint8, len(s.plan.Segments))}
	h.users[number] = u
	h.waiting++
	return u
}

func (s *State) expose(h *shard, e *Exposed) {
	if e.Variant < 0 || e.Variant >= len(s.plan.Variants) {
		return
	}
	h.dirty = true
	u := s.find(h, e.User, false)
	exposed := len(h.users) - h.waiting
	switch {
	case u == nil, u.variant < 0 && exposed >= s.limit:
		h.leftOut[e.Variant]++
	case u.variant < 0:
		h.waiting--
		u.variant, u.at = int8(e.Variant), e.At
		if u.first != 0 && u.first < e.At-early.Milliseconds() { // of before it
			clear(u.sums)
		}
	}
}

func (s *State) value(h *shard, v *Value) {
	if _, ok := h.known[v.ID]; ok || v.Metric < 0 || v.Metric >= len(s.plan.Metrics) || CheckValue(v.Value) != nil {
		return
	}
	h.dirty = true
	h.remember(v.ID)
	u := s.find(h, v.User, true)
	if u == nil {
		h.unknown++
		return
	}
	for i, name := range s.plan.Segments {
		if word, ok := v.Segments[name]; ok && u.words[i] == 0 {
			u.words[i] = h.word(i, word)
		}
	}
	m := &s.plan.Metrics[v.Metric]
	switch {
	case u.variant < 0 && u.first != 0 && v.At > u.first+m.Within.D().Milliseconds() && m.Within > 0:
		return
	case u.variant < 0:
		if u.first == 0 || v.At < u.first {
			u.first = v.At
		}
	case v.At < u.at-early.Milliseconds(), m.Within > 0 && v.At > u.at+m.Within.D().Milliseconds():
		return
	}
	switch m.Kind {
	case design.MetricConversion:
		u.sums[v.Metric] = 1
	case design.MetricCount:
		u.sums[v.Metric]++
	default:
		u.sums[v.Metric] += v.Value
	}
}

// remember keeps an id, for the oldest.
func (h *shard) remember(id uint64) {
	h.known[id] = struct{}{}
	if len(h.ids) < KeptIDs {
		h.ids = append(h.ids, id)
		return
	}
	delete(h.known, h.ids[h.next])
	h.ids[h.next] = id
	h.next = (h.next + 1) % KeptIDs
}

// otherWord stands for the values of a segment that come after the first few.
const otherWord = "(other)"

// word is the number of a segment's value.
func (h *shard) word(segment int, word string) uint8 {
	if len(word) > 64 {
		word = word[:64]
	}
	known := h.words[segment]
	i := slices.Index(known, word)
	if i < 0 {
		if i = len(known); i >= keptWords {
			word = otherWord
		}
		if i = slices.Index(known, word); i < 0 {
			h.words[segment] = append(known, word)
			i = len(known)
		}
	}
	return uint8(i + 1)
}

// Users is how many are known.
func (s *State) Users() (n int) {
	for i := range s.shards {
		n += len(s.shards[i].users)
	}
	return n
}
