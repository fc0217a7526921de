package delivery

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/pipeline"
	"semper/pipeline/attest"
	"semper/pipeline/record"
)

// Prefixes of keys in the store, besides those of package record.
const (
	preUser = "user/"
	preHook = "webhook/"
)

type stored[T any] struct {
	value   T
	version int64
}

// A Desk is what a control process knows of pipelines.
type Desk struct {
	// Commands are what the last Promote wants done.
	Commands []pipeline.Command

	keys       Keys
	generation int         // of key
	key        *attest.Key // kept from one signature to the next

	records *record.Records
	copied  *record.Records   // for readers
	pending map[string]string // what runs wait for, by id
	answers map[string]pipeline.Answer
	users   map[string]stored[account]
	hooks   map[string]stored[Hook]
}

// New is an empty desk. keys sign what gates have shown; nil: none can be passed.
func New(keys Keys) *Desk {
	d := &Desk{keys: keys}
	d.Reset()
	return d
}

// Reset forgets everything: it is about to be read anew.
func (d *Desk) Reset() {
	d.records, d.pending, d.answers = record.New(), map[string]string{}, map[string]pipeline.Answer{}
	d.users, d.hooks = map[string]stored[account]{}, map[string]stored[Hook]{}
	d.copied = d.records
}

// Put takes a stored item in, if it is one of pipelines.
func (d *Desk) Put(it semper.Item) error {
	switch {
	case strings.HasPrefix(it.Key, preUser):
		var u account
		err := json.Unmarshal(it.Value, &u)
		d.users[u.Name] = stored[account]{u, it.Version}
		return err
	case strings.HasPrefix(it.Key, preHook):
		var h Hook
		err := json.Unmarshal(it.Value, &h)
		d.hooks[h.ID] = stored[Hook]{h, it.Version}
		return err
	}
	_, err := d.records.Put(it)
	return err
}

// Loaded ends a time of Puts.
func (d *Desk) Loaded() { d.copied = d.records.Copy() }

// A Change is the desk's part of one transaction.
type Change struct {
	*record.Change
	desk     *Desk
	declared *semper.Pipeline // put in force by this change
	taken    []func(rev int64)
}

// Change is an empty one.
func (d *Desk) Change() *Change {
	key, _ := d.signer()
	return &Change{Change: d.records.Change(key), desk: d}
}

// also has one more key written.
func (c *Change) also(cond semper.Condition, w semper.Write, taken func(rev int64)) {
	c.If, c.Then, c.taken = append(c.If, cond), append(c.Then, w), append(c.taken, taken)
}

// Apply takes a change in that was stored at a revision.
func (d *Desk) Apply(c *Change, rev int64) error {
	if c.Empty() {
		return nil
	}
	err := d.records.Apply(c.Change, rev)
	for _, taken := range c.taken {
		taken(rev)
	}
	d.copied = d.records.Copy()
	return err
}

// Office is what a desk needs of the model while it works at one change.
type Office interface {
	Now() time.Time
	// Env is an environment as it is after the change; its App is empty where there is none.
	Env(semper.EnvironmentKey) semper.Environment
	Release(app string, name semper.ReleaseName) (semper.Release, error)
	// Deploy begins the rollout of a release by the same transaction. A Conflict means that the environment is busy.
	Deploy(env semper.EnvironmentKey, rel semper.Release, by string) (semper.Rollout, error)
	// Units are the commands of an app's gates that the keeper knows.
	Units(app string) map[semper.InstanceID]pipeline.Unit
	// Tell puts events into the transaction.
	Tell(events ...semper.Event)
	// LastEvent is the number of the newest event that is stored.
	LastEvent() int64
}

// Answered keeps what came of a question.
func (d *Desk) Answered(key string, a pipeline.Answer) { d.answers[key] = a }

// A View is a desk for readers. It is never changed.
type View struct {
	records *record.Records
	pending map[string]string
	tokens  map[string]api.Caller
	users   []api.User
	hooks   map[string]Hook
	signing string // id of the key that signs
}

// View of the desk as it is now.
func (d *Desk) View() *View {
	signing := ""
	if key, _ := d.signer(); key != nil {
		signing = key.ID()
	}
	return &View{signing: signing, records: d.copied, pending: maps.Clone(d.pending), tokens: d.tokens(), users: d.userList(), hooks: d.hookList()}
}
