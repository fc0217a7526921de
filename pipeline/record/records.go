package record

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/pipeline"
	"semper/pipeline/attest"
	"semper/pipeline/course"
)

// Prefixes of keys in the store.
const (
	prePolicy    = "pipeline/"        // app
	preRun       = "pipeline-run/"    // id
	preLine      = "pipeline-line/"   // app, or * for all
	preServed    = "pipeline-served/" // app/environment/subject
	preKey       = "attestation-key/" // id
	preStatement = "attestation/"     // app/subject/environment/gate/run.attempt
)

// Prefixes are the keys that Put takes.
var Prefixes = []string{prePolicy, preRun, preLine, preServed, preKey, preStatement}

type item[T any] struct {
	value   T
	version int64
}

// Records are what is stored of all pipelines.
type Records struct {
	policies   map[string]item[semper.Pipeline]
	runs       map[string]item[course.Run]
	lines      map[string]item[course.Line]
	served     map[string]bool
	keys       map[string]item[attest.Trusted]
	statements map[string]map[string]*statement // by app and subject, then by the rest of the key
}

// A statement is checked when it is asked for first. Copies of Records share it.
type statement struct {
	envelope []byte
	once     sync.Once
	proof    pipeline.Proof
	err      error
}

func (s *statement) check(ring attest.Keyring) {
	s.once.Do(func() { s.proof, s.err = pipeline.ReadProof(ring, s.envelope) })
}

// New is no records.
func New() *Records {
	return &Records{
		policies: map[string]item[semper.Pipeline]{}, runs: map[string]item[course.Run]{}, lines: map[string]item[course.Line]{},
		served: map[string]bool{}, keys: map[string]item[attest.Trusted]{}, statements: map[string]map[string]*statement{},
	}
}

// Put takes a stored item in; mine is false for one of somebody else's.
func (r *Records) Put(it semper.Item) (mine bool, err error) {
	switch {
	case strings.HasPrefix(it.Key, prePolicy):
		return true, put(r.policies, strings.TrimPrefix(it.Key, prePolicy), it)
	case strings.HasPrefix(it.Key, preRun):
		return true, put(r.runs, strings.TrimPrefix(it.Key, preRun), it)
	case strings.HasPrefix(it.Key, preLine):
		return true, put(r.lines, strings.TrimPrefix(it.Key, preLine), it)
	case strings.HasPrefix(it.Key, preKey):
		r.forget()
		return true, put(r.keys, strings.TrimPrefix(it.Key, preKey), it)
	case strings.HasPrefix(it.Key, preServed):
		r.served[it.Key] = true
		return true, nil
	case strings.HasPrefix(it.Key, preStatement):
		r.putStatement(it.Key, it.Value)
		return true, nil
	}
	return false, nil
}

// forget has all statements checked anew: other keys count.
func (r *Records) forget() {
	for _, all := range r.statements {
		for name, s := range all {
			all[name] = &statement{envelope: s.envelope}
		}
	}
}

func put[T any](into map[string]item[T], name string, it semper.Item) error {
	var v T
	err := json.Unmarshal(it.Value, &v)
	into[name] = item[T]{v, it.Version}
	return err
}

func (r *Records) putStatement(key string, envelope []byte) {
	app, rest, _ := strings.Cut(strings.TrimPrefix(key, preStatement), "/")
	subject, name, _ := strings.Cut(rest, "/")
	about := app + "/" + subject
	if r.statements[about] == nil {
		r.statements[about] = map[string]*statement{}
	}
	r.statements[about][name] = &statement{envelope: envelope}
}

func subjectKey(app string, about pipeline.Subject) string {
	return app + "/" + about.Artifact.Hex() + "-" + about.Config.Hex()
}

// Ring are the keys whose signatures count.
func (r *Records) Ring() attest.Keyring {
	ring := make(attest.Keyring, len(r.keys))
	for id, k := range r.keys {
		ring[id] = k.value
	}
	return ring
}

// A Stored statement with what checking it has come to.
type Stored struct {
	Name     string
	Envelope []byte
	Proof    pipeline.Proof
	Err      error // it does not count
}

// Statements about a release, in the order of their names.
func (r *Records) Statements(app string, about pipeline.Subject) []Stored {
	all := r.statements[subjectKey(app, about)]
	ring := r.Ring()
	out := make([]Stored, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		s.check(ring)
		out = append(out, Stored{name, s.envelope, s.proof, s.err})
	}
	return out
}

// Proofs are the statements about a release that count.
func (r *Records) Proofs(app string, about pipeline.Subject) []pipeline.Proof {
	var out []pipeline.Proof
	for _, s := range r.Statements(app, about) {
		if s.Err == nil && s.Proof.App == app && s.Proof.About == about {
			out = append(out, s.Proof)
		}
	}
	return out
}

// Policy is the pipeline of an app that is in force.
func (r *Records) Policy(app string) (semper.Pipeline, bool) {
	p, ok := r.policies[app]
	return p.value, ok
}

// Policies are all of them, by app.
func (r *Records) Policies() []semper.Pipeline {
	out := make([]semper.Pipeline, 0, len(r.policies))
	for _, app := range slices.Sorted(maps.Keys(r.policies)) {
		out = append(out, r.policies[app].value)
	}
	return out
}

// Run of an id.
func (r *Records) Run(id string) (course.Run, bool) {
	v, ok := r.runs[id]
	return v.value, ok
}

// Runs of an app, or of all where that is empty, the newest first.
func (r *Records) Runs(app string) []course.Run {
	out := make([]course.Run, 0, len(r.runs))
	for _, v := range r.runs {
		if app == "" || v.value.App == app {
			out = append(out, v.value)
		}
	}
	slices.SortFunc(out, func(a, b course.Run) int { return int(b.Number - a.Number) })
	return out
}

// Line is the switch of an app; empty for that of all.
func (r *Records) Line(app string) course.Line { return r.lines[lineKey(app)].value }

// Stopped says why nothing of an app may be promoted; "" while it may.
func (r *Records) Stopped(app string) string {
	for _, of := range []string{"", app} {
		if l := r.Line(of); l.Stopped {
			why := l.Why
			if why == "" {
				why = "no reason was given"
			}
			return why + " (" + l.By + ")"
		}
	}
	return ""
}

// Served reports whether a release was ever let into an environment.
func (r *Records) Served(app, environment string, about pipeline.Subject) bool {
	return r.served[servedKey(app, environment, about)]
}

func servedKey(app, environment string, about pipeline.Subject) string {
	return preServed + app + "/" + environment + "/" + about.Artifact.Hex() + "-" + about.Config.Hex()
}

func lineKey(app string) string {
	if app == "" {
		return "*"
	}
	return app
}

// Copy is for readers: it stays as it is, and is safe for concurrent use.
func (r *Records) Copy() *Records {
	c := &Records{
		policies: maps.Clone(r.policies), runs: maps.Clone(r.runs), lines: maps.Clone(r.lines), served: maps.Clone(r.served), keys: maps.Clone(r.keys),
		statements: make(map[string]map[string]*statement, len(r.statements)),
	}
	for about, all := range r.statements {
		c.statements[about] = maps.Clone(all)
	}
	return c
}
