package design

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"semper"
)

// The header fields by which an app learns of the experiments that a request is part of. Each has one member for every experiment,
// "checkout=green, colour=control". A client's own never reach an app.
const (
	VariantField = "Semper-Variant"     // the variant, by experiment
	KeyField     = "Semper-Variant-Key" // whom values are of, by experiment: what POST /v1/experiments/metrics takes as key
)

// An Plan says what is compared, for whom, and by what. It is fixed when an experiment starts.
type Plan struct {
	Name    string `json:"name" yaml:"name" doc:"what the experiment is called, in commands and in the header field"`
	Service string `json:"service,omitempty" yaml:"service" doc:"the one service that takes part; without it every web service"`
	// By is what a user is known by, as routes say it ("header:X-User", "cookie:uid", "query:id", "client"), or "user" for a signed
	// cookie that the edge gives.
	By       string    `json:"by" yaml:"by" doc:"what a user is known by: user for a signed cookie that the edge gives, or header:NAME, cookie:NAME, query:NAME, client" jsonschema:"default=user"`
	Variants []Variant `json:"variants" yaml:"variants" doc:"the first is what the others are compared with" jsonschema:"required"`
	Metrics  []Metric  `json:"metrics" yaml:"metrics" doc:"what is compared" jsonschema:"required"`
	Segments []string  `json:"segments,omitempty" yaml:"segments" doc:"names of properties of users, that values are pushed with, and by which results are shown apart"`
	// Alpha bounds the probability that any variant is called better or worse that is neither; 0: 0.05.
	Alpha float64 `json:"alpha,omitempty" yaml:"alpha" doc:"bound of the probability that a difference is named where there is none" jsonschema:"default=0.05"`
	// AtLeast is how long it runs before anything is concluded, so that every day of the week is in it; 0: 7 days.
	AtLeast semper.Duration `json:"at_least,omitempty" yaml:"at_least" doc:"nothing is concluded before this time is over" jsonschema:"default=168h"`
	// Users is how many users are followed. Who comes after them gets a variant too, and is not counted; 0: 100,000.
	Users int `json:"users,omitempty" yaml:"users" doc:"how many users are followed; who comes later gets a variant, and is not counted" jsonschema:"default=100000"`
}

// A Variant is one of the things compared.
type Variant struct {
	Name  string  `json:"name" yaml:"name" doc:"what the app is told, and promote names" jsonschema:"required"`
	Share float64 `json:"share" yaml:"share" doc:"part of all users; what the variants leave takes no part" jsonschema:"required"`
	// Release serves its users, by instances of its own. Empty is the release that is current when the experiment starts: what the
	// variant is there, the app learns from the header field alone.
	Release semper.ReleaseName `json:"release,omitempty" yaml:"release" doc:"the release that serves its users, by instances of its own: r18; without it the current one"`
}

// Releases are those that variants name, each once, in the order of the variants.
func (p *Plan) Releases() (all []semper.ReleaseName) {
	for _, v := range p.Variants {
		if v.Release != "" && !slices.Contains(all, v.Release) {
			all = append(all, v.Release)
		}
	}
	return all
}

// MetricKind is what becomes of the values of one user.
type MetricKind string

// The kinds of metric of an experiment. Whatever the kind, what is compared is the mean over users.
const (
	MetricSum        MetricKind = "sum"        // they are added up: revenue
	MetricCount      MetricKind = "count"      // how many there are: orders
	MetricConversion MetricKind = "conversion" // whether there is one
)

// MetricRole is what a metric decides.
type MetricRole string

// The roles.
const (
	RolePrimary   MetricRole = "primary"   // a variant wins by it, or loses
	RoleGuardrail MetricRole = "guardrail" // no variant wins that is worse by it
	RoleSecondary MetricRole = "secondary" // is shown
)

// An Metric is one thing that variants are compared by.
type Metric struct {
	Name   string     `json:"name" yaml:"name" doc:"what values are pushed as" jsonschema:"required"`
	Kind   MetricKind `json:"kind,omitempty" yaml:"kind" doc:"what becomes of one user's values: their sum, how many there are, or whether there is one" jsonschema:"enum=sum,enum=count,enum=conversion,default=sum"`
	Role   MetricRole `json:"role,omitempty" yaml:"role" doc:"a variant wins by a primary metric, and not while it is worse by a guardrail" jsonschema:"enum=primary,enum=guardrail,enum=secondary,default=secondary"`
	Less   bool       `json:"less,omitempty" yaml:"less_is_better" doc:"less of it is better: a cost"`
	Weight float64    `json:"weight,omitempty" yaml:"weight" doc:"its part of the evidence of the whole, beside the others'" jsonschema:"default=1"`
	// Within is how long after somebody was first exposed values count. Nobody counts before that is over, so that all had the same time;
	// 0: as long as the experiment runs.
	Within semper.Duration `json:"within,omitempty" yaml:"within" doc:"values count for this long after a user's first exposure, and users when it is over" jsonschema:"default=0s"`
	// Margin is what difference, in parts of the first variant's mean, does not matter; 0: every one does.
	Margin float64 `json:"margin,omitempty" yaml:"margin" doc:"what part of the first variant's mean a difference must have to matter" jsonschema:"default=0"`
}

// State is where an experiment is.
//
//	draft → (starting) → running → decided → promoted → stopped
//	            └───────────┴─────────┴──────────────────→┘
type State string

// The states of an experiment.
const (
	Draft    State = "draft"    // declared; nobody has a variant
	Starting State = "starting" // the instances of its releases are not all ready yet; nobody has a variant
	Running  State = "running"  // users have variants
	Decided  State = "decided"  // the same, and it is known what follows
	Promoted State = "promoted" // every user has the winner; or where that is a release, a rollout to it has begun
	Stopped  State = "stopped"  // nobody has a variant
)

// Counts reports whether users and values are taken in this state.
func (s State) Counts() bool { return s == Running || s == Decided }

// An Experiment is a plan with what has become of it. Environments hold it.
type Experiment struct {
	Plan  Plan   `json:"plan"`
	Run   string `json:"run"` // unique for ever: who starts a stopped experiment again begins anew
	State State  `json:"state"`
	// Key is 32 random bytes. By it users fall on variants and are written down, so that neither tells anything of another run.
	Key       []byte    `json:"key"`
	By        string    `json:"by,omitempty"` // who started it
	StartedAt time.Time `json:"started_at,omitzero"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"` // promoted, or stopped
	Winner    string    `json:"winner,omitempty"`  // of the decision, or who was promoted
	Why       string    `json:"why,omitempty"`     // the decision in a sentence

	// Of an experiment of releases. Against is the one that was current when it began: it ends when another is.
	Against semper.ReleaseName `json:"against,omitempty"`
	// Placements are what runs for it beside the current release; none once they have lost their traffic for good.
	Placements []semper.Placement `json:"placements,omitempty"`
	PlacedAt   time.Time          `json:"placed_at,omitzero"`
	ReadyBy    time.Time          `json:"ready_by,omitzero"` // when all instances have to be ready; zero until all are started
	Rollout    string             `json:"rollout,omitempty"` // that promotes the winner
	Ended      string             `json:"ended,omitempty"`   // why it ended though nobody stopped it, in words
}

// Read is what [Write] made: the experiments of an environment, in the order of their names.
func Read(written json.RawMessage) (list []Experiment, err error) {
	if len(written) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(written, &list); err != nil {
		return nil, fmt.Errorf("experiments of an environment cannot be read; a newer semper may have written them: %w", err)
	}
	return list, nil
}

// Write is list as environments hold it; nil where it is empty. Plans are complete: their numbers are finite.
func Write(list []Experiment) json.RawMessage { return encode(list) }

// Variations are what edges do for the experiments of an environment in a pool of one service, as tables hold it: JSON of
// []Variation, nil where there is none. Experiments that [Read] cannot read have none.
func Variations(written json.RawMessage, service string) json.RawMessage {
	list, err := Read(written)
	if err != nil {
		return nil
	}
	var all []Variation
	for i := range list {
		x := &list[i]
		if v, ok := x.Variation(); ok && (x.Plan.Service == "" || x.Plan.Service == service) {
			all = append(all, v)
		}
	}
	return encode(all)
}

// encode is the JSON of a list; nil where it is empty.
func encode[T any](list []T) json.RawMessage {
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("experiment/design: a plan that is not complete: " + err.Error()) // a bug: only NaN and infinity are no JSON
	}
	return b
}

// Variation is what edges do for the experiment; ok is false where that is nothing. When a release is promoted users keep theirs
// until the rollout to it has traffic to give.
func (x *Experiment) Variation() (v Variation, ok bool) {
	v = Variation{Experiment: x.Plan.Name, Run: x.Run, By: x.Plan.By, Key: x.Key, Variants: x.Plan.Variants, Quiet: x.State == Promoted}
	switch {
	case x.State != Promoted:
		return v, x.State.Counts()
	case len(x.Plan.Releases()) > 0:
		return v, len(x.Placements) > 0
	}
	v.Variants = []Variant{{Name: x.Winner, Share: 1}}
	return v, true
}

// A Variation is an experiment as the edge has it: which user gets which variant. The users of one with a release are served by the
// pool of the arm that has the release's name, [semper.PoolKey.PoolOf], where the table has one.
type Variation struct {
	Experiment string    `json:"experiment"`
	Run        string    `json:"run"`
	By         string    `json:"by"`
	Key        []byte    `json:"key"`
	Variants   []Variant `json:"variants"`
	Quiet      bool      `json:"quiet,omitempty"` // nobody wants to know who was exposed
}

// UserSalt begins the hashes of users' keys, so that they are not those of the same keys for other purposes.
const UserSalt = 0x76617269616e74

// NoVariant is the index of what a user has who takes no part.
const NoVariant = -1

// Place says under which number the user whose key has this hash is written down, and which variant is the user's: its index, or
// [NoVariant]. It is SHA-256 of Key and hash, which is a pseudo-random function for inputs of one length: half of it places the user
// among the variants, in the order of their shares, and the other half is the number. So users of two experiments are placed
// independently, and the number tells nobody without Key whose it is.
func (v *Variation) Place(hash uint64) (number uint64, variant int) {
	var in [40]byte
	copy(in[:32], v.Key)
	binary.BigEndian.PutUint64(in[32:], hash)
	sum := sha256.Sum256(in[:])
	return binary.BigEndian.Uint64(sum[8:]), v.variant(binary.BigEndian.Uint64(sum[:]))
}

// variant is whose a place in the range of 64 bits is.
func (v *Variation) variant(place uint64) int {
	at, end := float64(place>>11)/(1<<53), 0.0
	for i := range v.Variants {
		end += math.Max(v.Variants[i].Share, 0)
		if at < end {
			return i
		}
	}
	if end > 1-1e-9 && len(v.Variants) > 0 { // shares of a third add up to less than 1
		return len(v.Variants) - 1
	}
	return NoVariant
}

// An Exposure is that a user got an answer under a variant.
type Exposure struct {
	Seq     int64     `json:"seq"` // rises; of the edge's clock, in nanoseconds
	Run     string    `json:"run"`
	Variant int       `json:"variant"` // its index in the plan
	User    uint64    `json:"user"`    // as [Variation.Place] numbers it
	At      time.Time `json:"at"`
}

// Exposures are what one edge knows of exposures after some Seq. A user who stays is told again about every minute.
type Exposures struct {
	Edge string     `json:"edge"`
	List []Exposure `json:"list"`
	More bool       `json:"more,omitempty"` // there are more: ask again after the last Seq
	// Dropped is how many were never read before others took their place, since the edge began.
	Dropped uint64 `json:"dropped,omitempty"`
}
