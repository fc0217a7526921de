package variant

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/message"
	"semper/edge/route"
	"semper/experiment/design"
)

// Most is how many experiments a request can be part of.
const Most = 8

// A Set is the experiments of one pool. It is immutable, and any number of goroutines may use it. A nil Set has none.
type Set struct {
	all   []variation
	users *arms.Users

	releases []semper.ReleaseName // that variants of all[by] are served by
	by       int
}

// A variation is one made ready.
type variation struct {
	design.Variation
	by      route.Key
	user    bool
	members []string // of the field, one for each variant: "checkout=green"
	serves  []int    // the index of each variant's release in Set.releases, or None
}

// None is the index of no release: the pool's own serves.
const None = -1

// ByUser is what By says for the number in a cookie that the edge gives.
const ByUser = "user"

// Hash is that of a user's key, of which a [design.Variation] makes the place.
func Hash(key []byte) uint64 { return route.Hash(key, design.UserSalt) }

// Compile makes a pool's experiments ready; nil where there are none. keys sign the cookies of users: the current one, and the one
// before, which may be nil. What is not known is passed over, and told in the error.
func Compile(pool json.RawMessage, keys [2][]byte) (*Set, error) {
	if len(pool) == 0 {
		return nil, nil //nolint:nilnil // a set of none is nil
	}
	var all []design.Variation
	if err := json.Unmarshal(pool, &all); err != nil {
		return nil, fmt.Errorf("read the pool's experiments: %w", err)
	}
	users, err := arms.NewUsers(keys)
	if err != nil {
		return nil, err
	}
	s := &Set{users: users}
	var odd []error
	for _, v := range all {
		c := variation{Variation: v, user: v.By == ByUser}
		if !c.user {
			if err := c.by.UnmarshalText([]byte(v.By)); err != nil {
				odd = append(odd, fmt.Errorf("experiment %s: %w", v.Experiment, err))
				continue
			}
		}
		if len(s.all) == Most {
			odd = append(odd, fmt.Errorf("experiment %s: a service takes part in %d experiments at once, and no more", v.Experiment, Most))
			continue
		}
		for _, variant := range v.Variants {
			c.members = append(c.members, v.Experiment+"="+variant.Name)
		}
		if err := s.serve(&c); err != nil {
			odd = append(odd, err)
			continue
		}
		s.all = append(s.all, c)
	}
	return s, errors.Join(odd...)
}

// serve finds the releases of c, which s is about to have. A request is served by one release, so that one experiment has some.
func (s *Set) serve(c *variation) error {
	plan := design.Plan{Variants: c.Variants}
	all := plan.Releases()
	if len(all) > 0 && len(s.releases) > 0 {
		return fmt.Errorf("experiment %s: %s compares releases already", c.Experiment, s.all[s.by].Experiment)
	}
	if len(all) > 0 {
		s.releases, s.by = all, len(s.all)
	}
	for _, v := range c.Variants {
		c.serves = append(c.serves, slices.Index(all, v.Release))
	}
	return nil
}

// Releases are those that requests may be served by, beside the pool's own. Nobody changes it.
func (s *Set) Releases() []semper.ReleaseName {
	if s == nil {
		return nil
	}
	return s.releases
}

// A Request is one request with its variants. The zero Request has none. It belongs to the goroutine of its request.
type Request struct {
	set   *Set
	fell  bool       // to another release than its variant's
	picks [Most]pick // in the order of set.all
}

// pick is what the request has of one experiment.
type pick struct {
	number  uint64
	variant int8 // design.NoVariant: it takes no part
}

// Pick gives q its variants by s. arm is the same request, which knows its user. Asked again it is the same user.
func (r *Request) Pick(s *Set, q *route.Query, arm *arms.Request) {
	if r.set, r.fell = s, false; s == nil {
		return
	}
	for i := range s.all {
		v, p := &s.all[i], &r.picks[i]
		p.variant = design.NoVariant
		var hash uint64
		ok := true
		if v.user {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], arm.User(s.users, q))
			hash = Hash(b[:])
		} else {
			hash, ok = v.by.Hash(q, design.UserSalt)
		}
		if ok {
			var at int
			p.number, at = v.Place(hash)
			p.variant = int8(at)
		}
	}
}

// Release is the index in [Set.Releases] of the one that serves the request, or [None].
func (r *Request) Release() int {
	if r.set == nil || len(r.set.releases) == 0 {
		return None
	}
	if v := r.picks[r.set.by].variant; v != design.NoVariant {
		return r.set.all[r.set.by].serves[v]
	}
	return None
}

// ServedBy says which arm of the pool serves the request: where that is another than its variant's, nobody is exposed to the variant.
func (r *Request) ServedBy(arm semper.Arm) {
	if r.set == nil || len(r.set.releases) == 0 {
		return
	}
	own := arm == "" || arm == semper.ArmStable
	if i := r.Release(); i == None {
		r.fell = !own
	} else {
		r.fell = arm != semper.Arm(r.set.releases[i])
	}
}

// AppendLines appends the field lines by which an app learns of the variants.
func (r *Request) AppendLines(dst []byte) []byte {
	if !r.any() {
		return dst
	}
	dst = append(r.appendVariants(append(dst, message.VariantField+": "...)), "\r\n"...)
	return append(r.appendKeys(append(dst, message.KeyField+": "...)), "\r\n"...)
}

// Set is AppendLines for a header of net/http.
func (r *Request) Set(h http.Header) {
	if r.any() {
		h[message.VariantField] = []string{string(r.appendVariants(nil))}
		h[message.KeyField] = []string{string(r.appendKeys(nil))}
	}
}

// any reports whether the request takes part in anything.
func (r *Request) any() bool {
	return r.set != nil && slices.ContainsFunc(r.picks[:len(r.set.all)], func(p pick) bool { return p.variant != design.NoVariant })
}

func (r *Request) appendVariants(dst []byte) []byte {
	from := len(dst)
	for i := range r.set.all {
		if v := r.picks[i].variant; v != design.NoVariant {
			dst = append(comma(dst, from), r.set.all[i].members[v]...)
		}
	}
	return dst
}

func (r *Request) appendKeys(dst []byte) []byte {
	from := len(dst)
	for i := range r.set.all {
		if r.picks[i].variant == design.NoVariant {
			continue
		}
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], r.picks[i].number)
		dst = append(append(comma(dst, from), r.set.all[i].Experiment...), '=')
		dst = hex.AppendEncode(dst, b[:])
	}
	return dst
}

// comma separates a member of a list that begins at from from the one before.
func comma(dst []byte, from int) []byte {
	if len(dst) > from {
		dst = append(dst, ", "...)
	}
	return dst
}

// Expose says that the app has answered, at now.
func (r *Request) Expose(l *Log) {
	if r.set == nil {
		return
	}
	now := time.Now()
	for i := range r.set.all {
		v, p := &r.set.all[i], r.picks[i]
		if p.variant != design.NoVariant && !v.Quiet && !(r.fell && i == r.set.by) {
			l.add(v.Run, int(p.variant), p.number, now)
		}
	}
}
