package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/pipeline"
	"semper/pipeline/attest"
	"semper/pipeline/course"
)

// keepRuns is how many ended runs of an app stay.
const keepRuns = 100

// A Change is what is to be written with somebody's transaction.
type Change struct {
	r      *Records
	key    *attest.Key // signs
	If     []semper.Condition
	Then   []semper.Write
	runs   map[string]course.Run
	proofs map[string][]pipeline.Proof // signed by this change, by app and subject
	lines  map[string]course.Line
	keys   attest.Keyring // changed by this change
}

// Change is an empty one. key signs what it attests; nil: nothing can be attested.
func (r *Records) Change(key *attest.Key) *Change {
	return &Change{r: r, key: key, runs: map[string]course.Run{}, proofs: map[string][]pipeline.Proof{}, lines: map[string]course.Line{}, keys: attest.Keyring{}}
}

// Empty reports whether there is nothing to write.
func (c *Change) Empty() bool { return len(c.Then) == 0 }

// write puts v at key, which stands at version now. A second write to a key takes the place of the first.
func (c *Change) write(key string, version int64, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("pipeline/record: %s does not marshal: %v", key, err))
	}
	w := semper.Write{Key: key, Value: b}
	if i := slices.IndexFunc(c.Then, func(w semper.Write) bool { return w.Key == key }); i >= 0 {
		c.Then[i] = w
		return
	}
	c.If = append(c.If, semper.Condition{Key: key, Version: version})
	c.Then = append(c.Then, w)
}

// SetRun writes a run. Of those of its app that have ended, the oldest make room.
func (c *Change) SetRun(run course.Run) {
	c.runs[run.ID] = run
	old, known := c.r.runs[run.ID]
	c.write(preRun+run.ID, old.version, run)
	if known {
		return
	}
	ended := slices.DeleteFunc(c.r.Runs(run.App), func(r course.Run) bool { return r.State == course.Running })
	for _, r := range ended[min(keepRuns, len(ended)):] {
		c.If = append(c.If, semper.Condition{Key: preRun + r.ID, Version: c.r.runs[r.ID].version})
		c.Then = append(c.Then, semper.Write{Key: preRun + r.ID, Delete: true})
	}
}

// Run is a run as it is after this change.
func (c *Change) Run(id string) (course.Run, bool) {
	if r, ok := c.runs[id]; ok {
		return r, true
	}
	return c.r.Run(id)
}

// Runs of an app as they are after this change, the newest first.
func (c *Change) Runs(app string) []course.Run {
	out := c.r.Runs(app)
	for i, r := range out {
		if now, ok := c.runs[r.ID]; ok {
			out[i] = now
		}
	}
	for id, r := range c.runs {
		if _, known := c.r.runs[id]; !known && r.App == app {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b course.Run) int { return int(b.Number - a.Number) })
	return out
}

// SetPolicy puts a pipeline in force.
func (c *Change) SetPolicy(p semper.Pipeline) {
	c.write(prePolicy+p.App, c.r.policies[p.App].version, p)
}

// SetLine turns a line's switch.
func (c *Change) SetLine(l course.Line) {
	c.lines[lineKey(l.App)] = l
	c.write(preLine+lineKey(l.App), c.r.lines[lineKey(l.App)].version, l)
}

// Serve notes that a release was let into an environment.
func (c *Change) Serve(app, environment string, about pipeline.Subject) {
	if key := servedKey(app, environment, about); !c.r.served[key] {
		c.write(key, 0, true)
	}
}

// Trust has the signatures of key count from a time on, unless they do.
func (c *Change) Trust(key *attest.Key, t attest.Trusted) {
	if _, known := c.Keys()[key.ID()]; !known {
		c.SetKey(key.ID(), t)
	}
}

// SetKey says what a key's signatures count for.
func (c *Change) SetKey(id string, t attest.Trusted) {
	c.keys[id] = t
	c.write(preKey+id, c.r.keys[id].version, t)
}

// Keys are those known after this change, by their ids.
func (c *Change) Keys() attest.Keyring {
	ring := c.r.Ring()
	maps.Copy(ring, c.keys)
	return ring
}

// Attest signs what a gate has shown. The statement is written only if there is none of its name.
func (c *Change) Attest(p pipeline.Passed, about pipeline.Subject) error {
	if c.key == nil {
		return &semper.Error{Code: semper.Internal, Op: "attest", Message: "this control process has no key to sign with"}
	}
	st, err := p.Statement(about)
	if err != nil {
		return err
	}
	envelope, err := attest.Sign(c.key, st)
	if err != nil {
		return err
	}
	key := preStatement + subjectKey(p.App, about) + fmt.Sprintf("/%s/%s/%s.%d", p.Environment, p.Gate, p.Run, p.Attempt)
	c.If = append(c.If, semper.Condition{Key: key})
	c.Then = append(c.Then, semper.Write{Key: key, Value: envelope})
	of := subjectKey(p.App, about)
	c.proofs[of] = append(c.proofs[of], pipeline.Proof{Passed: p, About: about, Key: c.key.ID()})
	return nil
}

// Proofs about a release as they are after this change.
func (c *Change) Proofs(app string, about pipeline.Subject) []pipeline.Proof {
	return append(c.r.Proofs(app, about), c.proofs[subjectKey(app, about)]...)
}

// Apply takes a change in that was stored at a revision.
func (r *Records) Apply(c *Change, revision int64) error {
	for _, w := range c.Then {
		if w.Delete {
			for id := range r.runs {
				if preRun+id == w.Key {
					delete(r.runs, id)
				}
			}
			continue
		}
		if _, err := r.Put(semper.Item{Key: w.Key, Value: w.Value, Version: revision}); err != nil {
			return err
		}
	}
	return nil
}
